#include <cstdio>
#include <exception>

#include "agent/cli/cli.hpp"

int main(int argc, char** argv) {
  try {
    return marmot::agent::run_cli(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "marmot: %s\n", error.what());
    return 1;
  }
}
