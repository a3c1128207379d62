#include <CLI/CLI.hpp>

#include "agent/cli/client.hpp"
#include "agent/cli/completion.hpp"

namespace marmot::agent {

namespace {

// "WAY:{in,out}" is one of two words; a name that speaks of a file is one; DIR is a folder.
CompletedValue completed_value(const CLI::Option& option) {
  CompletedValue value;
  const std::string type = option.get_type_name();
  value.name = type.substr(0, type.find(":{"));
  if (const size_t open = type.find('{'), close = type.find('}'); open < close && close != std::string::npos) {
    value.words = CLI::detail::split(type.substr(open + 1, close - open - 1), ',');
  }
  value.files = type.find("DB") != std::string::npos || type.find("FILE") != std::string::npos;
  value.folders = type == "DIR";
  return value;
}

}  // namespace

CompletedCommand completed_command(const CLI::App& app) {
  CompletedCommand command;
  command.name = app.get_name();
  command.help = app.get_description();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      command.positionals.push_back(completed_value(*option));
      command.positionals_repeat = option->get_items_expected_max() > 1;
      continue;
    }
    CompletedOption row;
    for (const std::string& name : option->get_lnames()) row.names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) row.names.push_back("-" + name);
    row.help = option->get_description();
    row.takes_value = option->get_items_expected_max() > 0;
    if (row.takes_value) row.value = completed_value(*option);
    command.options.push_back(std::move(row));
  }
  for (const CLI::App* inner : app.get_subcommands({})) command.commands.push_back(completed_command(*inner));
  return command;
}

int cmd_completion(const CLI::App& root, const std::string& shell) {
  const CompletedCommand table = completed_command(root);
  print(shell == "zsh" ? zsh_completion(table) : bash_completion(table));
  return kExitOk;
}

}  // namespace marmot::agent
