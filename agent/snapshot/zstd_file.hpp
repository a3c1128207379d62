// Files compressed with zstd. Blocking, for a uv::PoolJob. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "common/base/result.hpp"

namespace marmot::agent {

// Writes `to` anew from `from`. On an error, and when `cancelled` became true (Errc::busy), no `to` is left.
// `done` counts the bytes read, for a progress bar.
Status compress_file(const std::string& from, const std::string& to, const std::atomic<bool>& cancelled, std::atomic<uint64_t>& done);

// The same the other way; `to` is fsynced. Errc::corrupt: no zstd, or it ends early.
Status decompress_file(const std::string& from, const std::string& to, const std::atomic<bool>& cancelled, std::atomic<uint64_t>& done);

}  // namespace marmot::agent
