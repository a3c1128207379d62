#include "common/core/comparison.hpp"

#include <string_view>

#include "common/core/row_hash.hpp"

namespace marmot {

uint64_t digest_hash(const TableDigest& digest) {
  uint64_t hash = 0;
  for (const TableDigest::Bucket& bucket : digest.buckets) {
    const uint64_t pair[2] = {bucket.sum, static_cast<uint64_t>(bucket.rows)};
    hash = bytes_hash(std::string_view(reinterpret_cast<const char*>(pair), sizeof pair), hash);
  }
  return hash;
}

}  // namespace marmot
