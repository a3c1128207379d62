#include <cstdio>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/control/fields.hpp"
#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

// A feed cannot know the widths to come: columns of known width first, names and keys after them.
std::string event_text(const Json& event) {
  const auto number = [&](const char* key) {
    const auto value = number_in(event, key);
    return value ? std::to_string(*value) : std::string("-");
  };
  return padded(text_in(event, "hlc"), 28) + "  " + padded(text_in(event, "direction"), 3) + "  " +
         padded(text_in(event, "op"), 6) + "  " + printable(text_in(event, "table")) + "  " +
         printable(text_in(event, "key")) + "  node " + number("node") + "  seq " + number("seq") + "\n";
}

Status follow(const TailOptions& options) {
  TRY_ASSIGN(const Target target, find_target(options.target));
  TRY_ASSIGN(const std::string database, single_database(target));
  TRY_ASSIGN(ControlClient client, connect_agent(target));
  Json request = {{"cmd", "tail"}, {"db", database}};
  if (!options.table.empty()) request["table"] = options.table;
  if (!options.direction.empty()) request["direction"] = options.direction;
  TRY(client.send(request));
  for (;;) {
    TRY_ASSIGN(const Json line, client.receive(std::chrono::milliseconds{-1}));
    if (line.is_object() && line.contains("event")) {
      if (options.target.json) print_json(line["event"]);
      else print(event_text(line["event"]));
      if (std::ferror(stdout) != 0) return make_error(Errc::io, "cannot write to stdout");
    } else if (line.is_object() && line.contains("ok")) {
      if (flag_in(line, "ok")) return ok();
      return make_error(errc_of(text_in(line, "code")), text_in(line, "error"));
    }
  }
}

}  // namespace

int cmd_tail(const TailOptions& options) {
  const Status followed = follow(options);
  return followed ? kExitOk : fail(followed.error());
}

}  // namespace marmot::agent
