#include "agent/daemon/schema_hook.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {

constexpr const char* kKey = "hooks.on_schema_change";
constexpr size_t kMostNames = 64 * 1024;    // Linux takes 128 KiB a variable (MAX_ARG_STRLEN)
constexpr std::streamoff kTail = 4096;      // of stderr is looked at
constexpr size_t kLongestLine = 300;        // of it is logged

std::string lines_of(const std::set<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    if (out.size() + name.size() + 1 > kMostNames) break;
    out += (out.empty() ? "" : "\n") + name;
  }
  return out;
}

// Not in the middle of a UTF-8 character.
std::string shortened(std::string line) {
  if (line.size() <= kLongestLine) return line;
  size_t end = kLongestLine;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
  return line.substr(0, end) + "...";
}

// The last line that is not blank; empty: there is none.
std::string last_line(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return {};
  in.seekg(std::max(std::streamoff{0}, static_cast<std::streamoff>(in.tellg()) - kTail));
  std::string last;
  for (std::string line; std::getline(in, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) last = line;
  }
  return shortened(printable(last));
}

}  // namespace

SchemaHook::SchemaHook(uv::Loop& loop, Options options, LogSink log)
    : loop_(loop),
      options_(std::move(options)),
      log_(std::move(log)),
      gather_(loop, [this] { run_next(); }),
      limit_(loop, [this] {
        killed_ = true;
        if (running_) running_->signal_group(SIGKILL);
      }) {}

SchemaHook::~SchemaHook() { stop(); }

void SchemaHook::stop() {
  gather_.stop();
  limit_.stop();
  if (running_) {
    log_(LogLevel::warn, running_for_ + ": " + kKey + " was killed: the agent stops");
    running_->signal_group(SIGKILL);
    running_.reset();
  }
  for (const Arrival& arrival : std::exchange(waiting_, {})) {
    log_(LogLevel::warn, arrival.name + ": " + kKey + " was not run for what came last: the agent stops");
  }
}

void SchemaHook::changed(const std::string& name, const std::string& path, const std::set<std::string>& names) {
  if (options_.command.empty()) return;
  const auto same = [&](const Arrival& arrival) { return arrival.name == name; };
  const auto known = std::find_if(waiting_.begin(), waiting_.end(), same);
  if (known == waiting_.end()) waiting_.push_back({name, path, names});
  else known->names.insert(names.begin(), names.end());
  if (!running_ && !gather_.active()) gather_.start(uv::Milliseconds(options_.gather_ms));
}

void SchemaHook::run_next() {
  if (waiting_.empty()) return;
  const Arrival arrival = std::move(waiting_.front());
  waiting_.pop_front();
  (void)::truncate(options_.errors.c_str(), 0);  // it may not be there yet
  uv::ProcessOptions process;
  process.file = "/bin/sh";
  process.args = {"-c", options_.command};
  process.errors = options_.errors;
  process.environment = {"MARMOT_DATABASE=" + arrival.path, "MARMOT_NAME=" + arrival.name, "MARMOT_TABLES=" + lines_of(arrival.names)};
  killed_ = false;
  running_for_ = arrival.name;
  auto started = uv::Process::spawn(loop_, process, [this](const uv::ProcessEnd& end) { ended(end); });
  if (!started) {
    log_(LogLevel::error, arrival.name + ": " + kKey + " could not be started: " + started.error().message);
    if (!waiting_.empty()) gather_.start(uv::Milliseconds(options_.gather_ms));
    return;
  }
  running_ = *std::move(started);
  limit_.start(uv::Milliseconds(options_.limit_ms));
  log_(LogLevel::info, arrival.name + ": the schema changed because of another node: running " + kKey);
}

void SchemaHook::ended(const uv::ProcessEnd& end) {
  limit_.stop();
  running_.reset();
  if (end.signal != 0 || end.exit_code != 0) {
    const bool took_too_long = killed_ && end.signal == SIGKILL;
    const std::string line = last_line(options_.errors);
    log_(LogLevel::error, running_for_ + ": " + kKey + " failed: " +
                              (took_too_long ? "killed after " + spoken_ms(options_.limit_ms) : end.text()) +
                              (line.empty() ? "" : ": " + line + " (its whole stderr: " + options_.errors + ")"));
  }
  if (!waiting_.empty()) gather_.start(uv::Milliseconds(options_.gather_ms));
}

}  // namespace marmot::agent
