// Completion of the command line in a shell, made from the table that the command line is parsed with: a new option is
// completed without another word. Pure.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace marmot::agent {

// What can stand in a place.
struct CompletedValue {
  std::string name;                // as the help calls it: HOST[:PORT]
  std::vector<std::string> words;  // one of these
  bool files = false;              // any file
  bool folders = false;
};

struct CompletedOption {
  std::vector<std::string> names;  // --config, -c
  std::string help;
  bool takes_value = false;
  CompletedValue value;
};

struct CompletedCommand {
  std::string name;
  std::string help;
  std::vector<CompletedOption> options;
  std::vector<CompletedValue> positionals;
  bool positionals_repeat = false;  // the last one, any number of times
  std::vector<CompletedCommand> commands;
};

CompletedCommand completed_command(const CLI::App& app);

// The whole script.
std::string bash_completion(const CompletedCommand& root);
std::string zsh_completion(const CompletedCommand& root);

// Prints the one for `shell`: bash or zsh.
int cmd_completion(const CLI::App& root, const std::string& shell);

}  // namespace marmot::agent
