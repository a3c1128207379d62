#include "agent/daemon/join_line.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <filesystem>

#include "agent/config/config.hpp"

namespace marmot::agent {

namespace {

std::string in_brackets(const std::string& host) { return host.find(':') == std::string::npos ? host : "[" + host + "]"; }

// Of an URL: without the scheme, a password, and what comes after the port.
std::string host_part(std::string_view url) {
  if (const size_t scheme = url.find("://"); scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  if (const size_t at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  while (!url.empty() && url.back() == '/') url.remove_suffix(1);
  const auto whole = parse_host_port(url);
  if (whole) return whole->host;
  const auto bare = parse_host_port(std::string(url) + ":1");
  return bare ? bare->host : std::string(url);
}

std::string command(const JoinFacts& facts, const std::string& file, const std::string& how) {
  std::string out = "marmot agent " + file + " " + how;
  // The name is the file's stem unless it is given.
  if (std::filesystem::path(file).stem().string() != facts.name) out += " --name " + facts.name;
  if (facts.cluster != "main") out += " --cluster " + facts.cluster;
  return out;
}

// A second file beside this one: it has another name, and so has to be told the cluster's.
std::string here(const JoinFacts& facts, const std::string& how) {
  const std::filesystem::path file(facts.file);
  return "to join on this machine: " + command(facts, file.stem().string() + "-2" + file.extension().string(), how);
}

std::string elsewhere(const JoinFacts& facts, const std::string& how) {
  return "to join from another machine: " + command(facts, facts.file, how);
}

std::vector<std::string> own_lines(const JoinFacts& facts) {
  const auto listens = parse_host_port(facts.address);
  if (!listens) return {elsewhere(facts, "--join " + facts.address)};
  const std::string port = ":" + std::to_string(listens->port);
  const std::string reachable = facts.machine.empty() ? "" : in_brackets(facts.machine.front());
  if (is_loopback(listens->host)) {
    return {here(facts, "--join " + facts.address),
            "to join from another machine: start this agent with --listen " + (reachable.empty() ? "0.0.0.0" : reachable) + port +
                "; now it listens on " + in_brackets(listens->host) + " only, which other machines cannot reach"};
  }
  const bool everywhere = listens->host == "0.0.0.0" || listens->host == "::";
  if (!everywhere) return {elsewhere(facts, "--join " + facts.address)};
  if (reachable.empty()) return {elsewhere(facts, "--join HOST" + port) + "    # HOST: this machine's name or address"};
  std::string others;
  for (size_t i = 1; i < facts.machine.size(); ++i) others += (i == 1 ? "" : ", ") + facts.machine[i];
  return {elsewhere(facts, "--join " + reachable + port) + (others.empty() ? "" : "    # this machine is also " + others)};
}

}  // namespace

bool is_loopback(std::string_view host) {
  return host.rfind("127.", 0) == 0 || host == "::1" || host == "localhost";
}

std::vector<std::string> join_lines(const JoinFacts& facts) {
  if (facts.via == JoinFacts::Via::own) return own_lines(facts);
  const bool nats = facts.via == JoinFacts::Via::nats;
  const bool secret = facts.address.find('@') != std::string::npos;
  const std::string how = nats ? "--nats " + (secret ? "URL" : facts.address) : "--join " + facts.address;
  const std::string host = host_part(facts.address);
  if (!is_loopback(host)) return {elsewhere(facts, how)};
  if (nats) {
    return {here(facts, how), elsewhere(facts, "--nats URL") + "    # URL: that server by a name other machines reach, not " + host};
  }
  return {here(facts, how), "to join from another machine: start the agent that listens on " + facts.address + " with --listen HOST:PORT; " +
                                host + " cannot be reached from there"};
}

std::vector<std::string> addresses_of_machine() {
  std::vector<std::string> four, six;
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) != 0) return four;
  for (const ifaddrs* one = found; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0 || (one->ifa_flags & IFF_LOOPBACK) != 0) continue;
    char text[INET6_ADDRSTRLEN] = "";
    if (one->ifa_addr->sa_family == AF_INET) {
      const auto* const address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
      const bool link_local = (ntohl(address->sin_addr.s_addr) >> 16) == 0xa9fe;
      if (!link_local && ::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) != nullptr) four.emplace_back(text);
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      const auto* const address = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) continue;
      if (::inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof text) != nullptr) six.emplace_back(text);
    }
  }
  ::freeifaddrs(found);
  four.insert(four.end(), six.begin(), six.end());
  return four;
}

}  // namespace marmot::agent
