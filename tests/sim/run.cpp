// tests/sim/run: see --help, and docs/testing.md.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <set>
#include <string>

#include "tests/sim/mutations.hpp"
#include "tests/sim/scenario.hpp"
#include "tests/sim/world.hpp"

namespace {

using namespace marmot;
using namespace marmot::sim;

struct Options {
  uint64_t first = 1, count = 1;
  std::set<uint64_t> open;
  bool trace = false, quiet = false, mutations = false, digests = false, go_on = false, unbroken = false;
  std::string mutation;
  std::vector<std::string> scenarios;
  bool rewrite = false;
};

uint64_t running = 0;
std::string command = "tests/sim/run";

void died(int signal) {
  std::fprintf(stderr, "seed %llu: died of signal %d\nreplay: %s --seed %llu\n", static_cast<unsigned long long>(running), signal,
               command.c_str(), static_cast<unsigned long long>(running));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

int usage(int code) {
  std::printf(
      "usage: run [--seeds N] [--seed S] [--trace] [--digests] [--keep-going] [--mutation NAME [--unbroken]] [--mutations]\n"
      "  --seed S        the first seed (1)        --seeds N       so many of them (1)\n"
      "  --trace         every event               --digests       a line a seed: its trace's digest\n"
      "  --keep-going    on after a failure        --mutation M    with this rule broken\n"
      "  --open S        seed S is known to fail (docs/testing.md, Open): told, not counted; it must not pass in silence\n"
      "  --unbroken      with --mutation: in its profile, with no rule broken\n"
      "  --scenario F    its script must give its trace (of a directory: all of them); --rewrite: its trace becomes what the script gives\n"
      "  --mutations     each rule broken in turn until a seed shows it; the unbroken build must pass the same seeds\n");
  std::printf("\na scenario has a command a line, and behind --- the trace that it must give:\n%s", scenario_help().c_str());
  return code;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (argument == "--seed") options.first = number();
    else if (argument == "--seeds") options.count = number();
    else if (argument == "--open") options.open.insert(number());
    else if (argument == "--trace") options.trace = true;
    else if (argument == "--digests") options.digests = true;
    else if (argument == "--keep-going") options.go_on = true;
    else if (argument == "--mutations") options.mutations = true;
    else if (argument == "--mutation" && i + 1 < argc) options.mutation = argv[++i];
    else if (argument == "--unbroken") options.unbroken = true;
    else if (argument == "--scenario" && i + 1 < argc) options.scenarios.push_back(argv[++i]);
    else if (argument == "--rewrite") options.rewrite = true;
    else return false;
  }
  return options.count > 0;
}

void report(uint64_t seed, const Outcome& outcome, const std::string& mutation) {
  std::printf("seed %llu FAILED: %s\n  %s\n  the last events:\n", static_cast<unsigned long long>(seed), outcome.failure.c_str(), outcome.profile.c_str());
  for (const std::string& line : outcome.last) std::printf("  %s\n", line.c_str());
  std::printf("replay: %s --seed %llu%s --trace\n", command.c_str(), static_cast<unsigned long long>(seed),
              mutation.empty() ? "" : (" --mutation " + mutation).c_str());
}

int run_seeds(const Options& options) {
  uint64_t failures = 0, known = 0, all = 0, commits = 0, messages = 0;
  std::map<std::string, uint64_t> counts;
  const std::clock_t began = std::clock();
  for (uint64_t seed = options.first; seed < options.first + options.count; ++seed) {
    running = seed;
    const Outcome outcome = run_seed(seed, options.mutation, options.unbroken, options.trace);
    all = mix64(all ^ outcome.digest);
    commits += outcome.commits;
    messages += outcome.messages;
    for (const auto& [what, times] : outcome.counts) counts[what] += times;
    if (options.digests) std::printf("%llu %016llx\n", static_cast<unsigned long long>(seed), static_cast<unsigned long long>(outcome.digest));
    if (options.open.count(seed) != 0) {
      if (!outcome.failure.empty()) {
        ++known;
        std::printf("seed %llu is open: %s\n", static_cast<unsigned long long>(seed), outcome.failure.c_str());
        continue;
      }
      ++failures;
      std::printf("seed %llu FAILED: it passes now: take it out of the open ones\n", static_cast<unsigned long long>(seed));
      continue;
    }
    if (outcome.failure.empty()) continue;
    ++failures;
    report(seed, outcome, options.mutation);
    std::fflush(stdout);
    if (!options.go_on) break;
  }
  const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  std::printf("%llu seeds from %llu: %llu commits, %llu messages", static_cast<unsigned long long>(options.count),
              static_cast<unsigned long long>(options.first), static_cast<unsigned long long>(commits), static_cast<unsigned long long>(messages));
  for (const auto& [what, times] : counts) std::printf(", %s %llu", what.c_str(), static_cast<unsigned long long>(times));
  std::printf("\n%.2f core-seconds a seed; digest %016llx\n", seconds / static_cast<double>(options.count), static_cast<unsigned long long>(all));
  std::printf("%llu passed, %llu failed, 0 skipped\n", static_cast<unsigned long long>(options.count - failures - known), static_cast<unsigned long long>(failures));
  return failures == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  command = argv[0];
  if (!parse(argc, argv, options)) return usage(argc == 2 && std::strcmp(argv[1], "--help") == 0 ? 0 : 2);
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS}) std::signal(signal, died);
  int failed = 0;
  if (!options.mutation.empty() && !know_mutation(options.mutation)) return usage(2);
  if (!options.mutation.empty() && !options.scenarios.empty()) break_rule(options.mutation);
  const std::vector<std::string> scenarios = find_scenarios(options.scenarios);
  for (const std::string& path : scenarios) failed += run_scenario(path, options.rewrite);
  if (!options.scenarios.empty()) {
    std::printf("%zu passed, %d failed, 0 skipped\n", scenarios.size() - static_cast<size_t>(failed), failed);
    return failed == 0 && !scenarios.empty() ? 0 : 1;
  }
  if (options.mutations) return run_mutations();
  return run_seeds(options);
}
