// The script for bash. It needs nothing but bash: the package bash-completion only loads it by itself.
#include "agent/cli/completion.hpp"

namespace marmot::agent {

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// What the variable `want` holds for it: words, then @files or @folders.
std::string wanted(const CompletedValue& value) {
  std::vector<std::string> all = value.words;
  if (value.files) all.emplace_back("@files");
  if (value.folders) all.emplace_back("@folders");
  return all.empty() ? "@nothing" : joined(all);
}

// The words before the cursor: which lead into a command, and which want a value after them.
void add_steps(const CompletedCommand& command, const std::string& path, std::string& out) {
  for (const CompletedCommand& inner : command.commands) {
    out += "      \"" + path + " " + inner.name + "\") path=\"" + path + " " + inner.name + "\" ;;\n";
  }
  for (const CompletedOption& option : command.options) {
    if (!option.takes_value) continue;
    std::string patterns;
    for (const std::string& name : option.names) patterns += (patterns.empty() ? "" : "|") + ("\"" + path + " " + name + "\"");
    out += "      " + patterns + ") want=\"" + wanted(option.value) + "\" ;;\n";
  }
  for (const CompletedCommand& inner : command.commands) add_steps(inner, path + " " + inner.name, out);
}

// What may stand where the cursor is.
void add_places(const CompletedCommand& command, const std::string& path, std::string& out) {
  std::vector<std::string> options, words;
  for (const CompletedOption& option : command.options) {
    for (const std::string& name : option.names) {
      if (name.rfind("--", 0) == 0) options.push_back(name);
    }
  }
  for (const CompletedCommand& inner : command.commands) words.push_back(inner.name);
  for (const CompletedValue& value : command.positionals) words.push_back(wanted(value));
  out += "    \"" + path + "\") options=\"" + joined(options) + "\"; want=\"" + (words.empty() ? "@nothing" : joined(words)) + "\" ;;\n";
  for (const CompletedCommand& inner : command.commands) add_places(inner, path + " " + inner.name, out);
}

}  // namespace

std::string bash_completion(const CompletedCommand& root) {
  const std::string& name = root.name;
  std::string steps, places;
  add_steps(root, name, steps);
  add_places(root, name, places);
  return "# bash completion for " + name + ", made by: " + name + " completion bash\n"
         "_" + name + "() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} path=" + name + " want= options= word i words=\n"
         "  COMPREPLY=()\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=${COMP_WORDS[i]}\n"
         "    [ \"$word\" = \"=\" ] && continue  # bash cuts --option=value at it\n"
         "    if [ -n \"$want\" ]; then want=; continue; fi\n"
         "    case \"$path $word\" in\n" + steps +
         "    esac\n"
         "  done\n"
         "  [ \"$cur\" = \"=\" ] && cur=\n"
         "  [ -n \"$want\" ] || case \"$path\" in\n" + places +
         "  esac\n"
         "  if [[ -n $options && $cur == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
         "    return\n"
         "  fi\n"
         "  for word in $want; do\n"
         "    case \"$word\" in\n"
         "      @files) compopt -o filenames 2>/dev/null\n"
         "              while IFS= read -r word; do\n"
         "                [[ $word == *-wal || $word == *-shm ]] || COMPREPLY+=(\"$word\")\n"
         "              done < <(compgen -f -- \"$cur\") ;;\n"
         "      @folders) compopt -o filenames 2>/dev/null\n"
         "                while IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -d -- \"$cur\") ;;\n"
         "      @nothing) ;;\n"
         "      *) words+=\" $word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  [ -z \"$words\" ] || COMPREPLY+=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "}\n"
         "complete -F _" + name + " " + name + "\n";
}

}  // namespace marmot::agent
