// When rows are compared with their versions (Replica::scrub): slice by slice in a node's spare time, a pass every interval, and at once
// where somebody asks. Pure; times are monotonic microseconds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/replica/types.hpp"

namespace marmot::node {

class Scrubbing {
 public:
  // The first pass begins `every_us` after `now`. 0: only when asked.
  Scrubbing(int64_t every_us, int64_t now) : every_(every_us), next_(now + every_us) {}

  // A pass of its own that begins now, without pauses between its slices, until passed() is true.
  void ask();

  // When the next slice is due; TurnFacts::kNever: none is.
  int64_t at(int64_t now) const;
  // Inside a pass: the next slice goes on with it. Else begin() comes first, and Replica::scrub_again behind it.
  bool running() const { return running_; }
  // False: the pass that would begin now is left out, for nobody has committed since the last one. `version`: Replica::data_version.
  bool begin(int64_t now, const Result<int64_t>& version);
  bool polite() const;

  // What became of a slice that began at `began`.
  void failed(int64_t began);
  void put_off(int64_t began, bool others_read);  // or something waited to be drained
  // True: a whole pass ends here; found() says what it found.
  bool done(int64_t began, int64_t now, const replica::ScrubResult& slice);

  struct Found {
    std::map<std::string, int64_t> rows;  // by table: what capture had not seen
    std::vector<std::string> examples;
  };
  const Found& found() const { return found_; }

 private:
  const int64_t every_;
  bool asked_ = false;
  bool running_ = false;
  int64_t next_;            // slice, or pass
  int64_t began_ = 0;       // the pass
  int64_t version_ = -1;    // the file's data_version when the last pass began
  int idle_ = 0;            // passes left out since, because nobody had committed
  int refused_ = 0;         // slices that found something while others read
  Found found_;
};

}  // namespace marmot::node
