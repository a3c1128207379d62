// What a ready agent says about the next node: the command that joins, with an address that works where it is typed.
// Pure, but for addresses_of_machine().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace marmot::agent {

struct JoinFacts {
  enum class Via : uint8_t {
    own,    // the embedded server of this agent
    agent,  // the embedded server of another agent (--join)
    nats,   // a NATS server of the user's (--nats)
  };
  Via via = Via::own;
  std::string address;  // HOST:PORT; of `nats` the URL, which may hold a password: it is never printed then
  std::string file;     // of the database, without its folder
  std::string name;     // how the cluster calls it
  std::string cluster;
  std::vector<std::string> machine;  // addresses of this machine that others may reach
};

// One or two lines, the command for this machine first where there is one.
std::vector<std::string> join_lines(const JoinFacts& facts);

// 127.0.0.0/8, ::1 and localhost; `host` is without brackets.
bool is_loopback(std::string_view host);

// The addresses of the interfaces that are up, loopback and link-local ones left out, IPv4 first. Empty when the system tells none.
std::vector<std::string> addresses_of_machine();

}  // namespace marmot::agent
