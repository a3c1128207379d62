// The script for zsh: one function a command, each a call of _arguments.
#include "agent/cli/completion.hpp"

namespace marmot::agent {

namespace {

// In single quotes, within a specification of _arguments: [ ] : and \ stand for themselves behind a backslash.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') out += "'\\'";
    else if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// ":message:action"
std::string action(const CompletedValue& value) {
  std::string out = ":" + escaped(value.name.empty() ? "value" : value.name) + ":";
  std::string words;
  for (const std::string& word : value.words) words += (words.empty() ? "" : " ") + word;
  if (value.files && !words.empty()) return out + "_alternative \"files:file:_files\" \"words:word:(" + words + ")\"";
  if (value.files) return out + "_files";
  if (value.folders) return out + "_files -/";
  return words.empty() ? out + " " : out + "(" + words + ")";
}

std::string specification(const CompletedOption& option) {
  std::string names, list;
  for (const std::string& name : option.names) {
    names += (names.empty() ? "" : " ") + name;
    // Behind = or as the next word.
    list += (list.empty() ? "" : ",") + name + (option.takes_value && name.rfind("--", 0) == 0 ? "=" : "");
  }
  // An option that can be repeated is offered again: the command line says when it is once too often.
  const std::string braces = option.names.size() > 1 ? "'{" + list + "}'" : list;
  return "'(" + names + ")" + braces + "[" + escaped(option.help) + "]" + (option.takes_value ? action(option.value) : "") + "'";
}

void add_function(const CompletedCommand& command, const std::string& function, std::string& out) {
  for (const CompletedCommand& inner : command.commands) add_function(inner, function + "_" + inner.name, out);
  out += function + "() {\n  local curcontext=\"$curcontext\" state line\n  typeset -A opt_args\n  _arguments -C";
  for (const CompletedOption& option : command.options) out += " \\\n    " + specification(option);
  for (size_t i = 0; i < command.positionals.size(); ++i) {
    const bool repeats = command.positionals_repeat && i + 1 == command.positionals.size();
    out += std::string(" \\\n    '") + (repeats ? "*" : std::to_string(i + 1)) + action(command.positionals[i]) + "'";
  }
  if (command.commands.empty()) {
    out += "\n}\n\n";
    return;
  }
  out += " \\\n    '1: :->command' \\\n    '*:: :->argument' && return\n  case $state in\n    command)\n      local -a commands\n      commands=(\n";
  for (const CompletedCommand& inner : command.commands) out += "        '" + inner.name + ":" + escaped(inner.help) + "'\n";
  out += "      )\n      _describe -t commands command commands ;;\n    argument)\n      case $line[1] in\n";
  for (const CompletedCommand& inner : command.commands) out += "        " + inner.name + ") " + function + "_" + inner.name + " ;;\n";
  out += "      esac ;;\n  esac\n}\n\n";
}

}  // namespace

std::string zsh_completion(const CompletedCommand& root) {
  std::string functions;
  add_function(root, "_" + root.name, functions);
  return "#compdef " + root.name + "\n# zsh completion for " + root.name + ", made by: " + root.name + " completion zsh\n\n" + functions +
         "# Loaded from $fpath the file is the function; sourced, it registers it.\n"
         "if [ \"$funcstack[1]\" = \"_" + root.name + "\" ]; then _" + root.name + " \"$@\"; else compdef _" + root.name + " " +
         root.name + "; fi\n";
}

}  // namespace marmot::agent
