#include "common/core/comparison.hpp"

#include <string_view>

namespace marmot {

Hash128 digest_hash(const HashKey& seed, const TableDigest& digest) {
  std::string words;
  for (const TableDigest::Bucket& bucket : digest.buckets) {
    const uint64_t three[] = {bucket.sum.low, bucket.sum.high, static_cast<uint64_t>(bucket.rows)};
    words.append(reinterpret_cast<const char*>(three), sizeof three);
  }
  return siphash128(seed, static_cast<uint64_t>(digest.rows), words);
}

}  // namespace marmot
