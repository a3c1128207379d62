// Internal to codec: a payload as one zstd frame with its size and a content checksum.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.hpp"

namespace marmot::codec {

// Bytes on the heap: moving it moves no byte, so views into it stay good (a std::string keeps short ones inside itself).
struct Buffer {
  std::unique_ptr<char[]> data;
  size_t size = 0;
  std::string_view view() const { return {data.get(), size}; }
};

// The pieces, joined, as one frame. Deterministic.
Result<std::string> compress(std::initializer_list<std::string_view> pieces);

// Errc::corrupt unless `frame` is exactly one whole frame that states a size of at most `max_bytes`. What is reserved
// grows with what really comes out, whatever size the frame claims.
Result<Buffer> decompress(std::string_view frame, size_t max_bytes);

}  // namespace marmot::codec
