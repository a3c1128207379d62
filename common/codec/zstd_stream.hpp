// Streams of zstd, for what is larger than a message: snapshots. Memory is bounded, whatever the input.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "common/base/result.hpp"

namespace marmot::codec {

// Takes a piece of output. An error ends the call that made it, and is returned by it.
using ByteSink = std::function<Status(std::string_view bytes)>;

class ZstdWriter {
 public:
  ZstdWriter();
  ~ZstdWriter();
  ZstdWriter(const ZstdWriter&) = delete;
  ZstdWriter& operator=(const ZstdWriter&) = delete;

  // `last`: nothing follows; the stream is ended with its checksum.
  Status write(std::string_view bytes, bool last, const ByteSink& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class ZstdReader {
 public:
  ZstdReader();
  ~ZstdReader();
  ZstdReader(const ZstdReader&) = delete;
  ZstdReader& operator=(const ZstdReader&) = delete;

  // Errc::corrupt: that is no zstd, or its checksum does not match.
  Status read(std::string_view bytes, const ByteSink& out);
  // What was read so far ends where a stream ends.
  bool complete() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace marmot::codec
