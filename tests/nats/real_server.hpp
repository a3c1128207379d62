// A real nats-server for a test: 127.0.0.1, a free port, its own configuration and store in a temporary folder; ended by
// its own pid. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <string>

namespace marmot::testing {

class RealServer {
 public:
  struct Setup {
    bool jetstream = true;
    std::string extra;        // more lines of configuration: authorization, limits
    std::string js_extra;     // lines within jetstream { }
    bool start = true;        // false: only the port is chosen
  };

  RealServer() : RealServer(Setup()) {}
  explicit RealServer(Setup setup);
  ~RealServer();
  RealServer(const RealServer&) = delete;
  RealServer& operator=(const RealServer&) = delete;

  // Returns when it accepts connections; aborts the test program after 10 s. The same port and store every time.
  void start();
  void kill9();       // SIGKILL, and waits for the end
  void stop();        // SIGTERM, and waits for the end
  void freeze();      // SIGSTOP
  void thaw();        // SIGCONT
  void erase_store();  // while it is not running
  void set_extra(std::string extra) { setup_.extra = std::move(extra); }  // from the next start on
  void set_jetstream(bool on) { setup_.jetstream = on; }

  int port() const { return port_; }
  pid_t pid() const { return pid_; }
  std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }
  const std::string& dir() const { return dir_; }  // holds server.conf, server.log and store/

 private:
  void end(int signal);
  bool accepts() const;

  Setup setup_;
  std::string dir_;
  int port_ = 0;
  pid_t pid_ = 0;
};

}  // namespace marmot::testing
