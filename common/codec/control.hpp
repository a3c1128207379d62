// Messages between agents: small, over core NATS, kept by nobody (docs/format.md, "Messages between agents"). One struct a
// message:
//
//   version(1 byte) kind(1 byte) node(8 bytes, big-endian) msgpack[ field* ]
//
// The first ten bytes mean the same in every version, so that a message which is not understood still says who sent it, and
// what has to be upgraded. Fields come in the order of the struct; each number, text and array takes the shortest form there
// is, so that a message has one encoding only and decode() refuses any other.
//
// Every decoder is total and bounded: any bytes give a value, or Errc::newer_format (a version or a kind that this Marmot
// does not know: the text names the node, what it speaks and what is known here), or Errc::corrupt. Nothing is reserved on
// the word of a header.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/comparison.hpp"

namespace marmot::codec::control {

inline constexpr uint8_t kVersion = 2;  // the latest one that is read
inline constexpr size_t kMaxBytes = size_t{8} << 20;  // of one message
inline constexpr uint32_t kMaxListed = 65'536;        // elements of one list

enum class Kind : uint8_t {
  refusal = 1,
  beat = 2,
  member_list = 3,
  digest_request = 4,
  digest_answer = 5,
  buckets_request = 6,
  buckets_answer = 7,
  keys_request = 8,
  keys_answer = 9,
  full_text_request = 10,
  full_text_answer = 11,
  range_digest_request = 12,
  range_digest_answer = 13,
  range_keys_request = 14,
  range_keys_answer = 15,
  repair_request = 16,
  repair_answer = 17,
  scrub_request = 18,
  scrub_answer = 19,
  repaired = 20,
  snapshot_request = 21,
  alive = 22,
  clock = 23,
};

// The version that brought a kind's fields as they are now. A message says that of its kind, so that agents of two builds go on
// hearing each other in what has not changed.
constexpr uint8_t version_of(Kind kind) {
  const bool seeded = (kind >= Kind::digest_request && kind <= Kind::keys_answer) ||
                      (kind >= Kind::range_digest_request && kind <= Kind::range_keys_answer);
  return seeded ? 2 : 1;
}

// `node` is who sends, everywhere: never 0.

// The answer to a request that could not be answered.
struct Refusal {
  static constexpr Kind kKind = Kind::refusal;
  NodeId node;
  bool absent = false;  // what was asked for is not there; else it may be, another time
  std::string reason;
  bool operator==(const Refusal&) const = default;
};

// Every second, and when something was applied: to all.
struct Beat {
  static constexpr Kind kKind = Kind::beat;
  NodeId node;
  Incarnation incarnation;
  StreamSeq applied = 0;
  uint64_t pending = 0;     // rows that are not in the stream yet
  bool able = false;        // a member that follows the stream
  std::string marmot;       // the program's version
  uint8_t data_format = 0;  // the latest format of stream messages (codec::kFormat) that it may write
  bool operator==(const Beat&) const = default;
};

// Every minute, to all: who belongs to the cluster, so that a node which came late knows of those that are away.
struct MemberList {
  static constexpr Kind kKind = Kind::member_list;
  struct Member {
    NodeId node;
    Incarnation incarnation;
    int64_t age_ms = 0;     // since it was heard
    StreamSeq applied = 0;  // then
    bool operator==(const Member&) const = default;
  };
  NodeId node;
  std::vector<Member> members;
  bool operator==(const MemberList&) const = default;
};

// To all: each answers once it has applied `seq`.
struct DigestRequest {
  static constexpr Kind kKind = Kind::digest_request;
  NodeId node;
  StreamSeq seq = 0;
  HashKey seed;  // of the digests
  bool operator==(const DigestRequest&) const = default;
};
struct DigestAnswer {
  static constexpr Kind kKind = Kind::digest_answer;
  struct Table {
    std::string name;
    int64_t rows = 0;
    Hash128 hash;  // digest_hash()
    bool operator==(const Table&) const = default;
  };
  NodeId node;
  StreamSeq applied = 0;  // when the digests were taken
  uint64_t pending = 0;   // as in a beat
  std::vector<Table> tables;
  bool operator==(const DigestAnswer&) const = default;
};

// To one node: the buckets of a table that differs. No buckets: it has no such table.
struct BucketsRequest {
  static constexpr Kind kKind = Kind::buckets_request;
  NodeId node;
  std::string table;
  HashKey seed;
  bool operator==(const BucketsRequest&) const = default;
};
struct BucketsAnswer {
  static constexpr Kind kKind = Kind::buckets_answer;
  NodeId node;
  std::vector<TableDigest::Bucket> buckets;
  bool operator==(const BucketsAnswer&) const = default;
};

// To one node: the keys of a bucket that differs, in order.
struct KeysRequest {
  static constexpr Kind kKind = Kind::keys_request;
  NodeId node;
  std::string table;
  uint8_t bucket = 0;
  HashKey seed;
  bool operator==(const KeysRequest&) const = default;
};
struct KeysAnswer {
  static constexpr Kind kKind = Kind::keys_answer;
  NodeId node;
  bool all = true;  // else more follow behind the last one
  std::vector<KeyHash> keys;
  bool operator==(const KeysAnswer&) const = default;
};

// To one node: what FTS's own check says of its full-text indexes.
struct FullTextRequest {
  static constexpr Kind kKind = Kind::full_text_request;
  NodeId node;
  bool operator==(const FullTextRequest&) const = default;
};
struct FullTextAnswer {
  static constexpr Kind kKind = Kind::full_text_answer;
  NodeId node;
  std::vector<FullTextFault> faults;
  bool operator==(const FullTextAnswer&) const = default;
};

// To one node: a digest of its registers in a range.
struct RangeDigestRequest {
  static constexpr Kind kKind = Kind::range_digest_request;
  NodeId node;
  KeyRange range;
  CompareBy by;
  bool operator==(const RangeDigestRequest&) const = default;
};
struct RangeDigestAnswer {
  static constexpr Kind kKind = Kind::range_digest_answer;
  NodeId node;
  RangeDigest digest;
  bool operator==(const RangeDigestAnswer&) const = default;
};

// To one node: keys and versions of its registers in a range.
struct RangeKeysRequest {
  static constexpr Kind kKind = Kind::range_keys_request;
  NodeId node;
  KeyRange range;
  CompareBy by;
  bool operator==(const RangeKeysRequest&) const = default;
};
struct RangeKeysAnswer {
  static constexpr Kind kKind = Kind::range_keys_answer;
  NodeId node;
  RangeKeys held;
  bool operator==(const RangeKeysAnswer&) const = default;
};

// To one node: what it shall do so that all end alike.
struct RepairRequest {
  static constexpr Kind kKind = Kind::repair_request;
  NodeId node;
  std::string table;
  std::vector<RepairAction> actions;
  bool operator==(const RepairRequest&) const = default;
};
struct RepairAnswer {
  static constexpr Kind kKind = Kind::repair_answer;
  NodeId node;
  int64_t done = 0;  // actions
  bool operator==(const RepairAnswer&) const = default;
};

// To all: each answers once it has compared all its rows with their versions.
struct ScrubRequest {
  static constexpr Kind kKind = Kind::scrub_request;
  NodeId node;
  bool operator==(const ScrubRequest&) const = default;
};
struct ScrubAnswer {
  static constexpr Kind kKind = Kind::scrub_answer;
  struct Found {
    std::string table;
    int64_t rows = 0;  // that capture had not seen
    bool operator==(const Found&) const = default;
  };
  NodeId node;
  std::vector<Found> found;
  bool operator==(const ScrubAnswer&) const = default;
};

// After a round of anti-entropy, to all.
struct Repaired {
  static constexpr Kind kKind = Kind::repaired;
  NodeId node;
  uint64_t divergent = 0;  // ranges that still differ
  bool operator==(const Repaired&) const = default;
};

// To all, by a node that cannot go on without one: a snapshot that holds everything up to `seq`.
struct SnapshotRequest {
  static constexpr Kind kKind = Kind::snapshot_request;
  NodeId node;
  StreamSeq seq = 0;
  std::vector<std::string> damaged;  // ids of objects that were found damaged: none of these
  bool operator==(const SnapshotRequest&) const = default;
};

// To all, when an agent starts and whenever another one may run under its node id; and the answer of that one. Who of two has to give way:
// common/node/twins.hpp.
struct Alive {
  static constexpr Kind kKind = Kind::alive;
  NodeId node;
  Incarnation incarnation;
  Incarnation asker;         // whose question this answers; 0: it is a question
  bool asking = false;       // it has published nothing, for it does not know yet whether it is alone
  StreamSeq first = 0;       // its first message in the stream, in this life; 0: none is known
  std::string host;          // and its process there, for people
  uint64_t pid = 0;
  int64_t started = 0;       // wall clock, milliseconds
  bool operator==(const Alive&) const = default;
};

// To all, every second while the node's clock is off by more than it allows itself.
struct ClockState {
  static constexpr Kind kKind = Kind::clock;
  NodeId node;
  bool ahead = false;  // of the NATS server's; else behind it
  int64_t off_ms = 0;
  bool operator==(const ClockState&) const = default;
};

using Message = std::variant<Refusal, Beat, MemberList, DigestRequest, DigestAnswer, BucketsRequest, BucketsAnswer, KeysRequest, KeysAnswer,
                             FullTextRequest, FullTextAnswer, RangeDigestRequest, RangeDigestAnswer, RangeKeysRequest, RangeKeysAnswer,
                             RepairRequest, RepairAnswer, ScrubRequest, ScrubAnswer, Repaired, SnapshotRequest, Alive, ClockState>;

// M: any alternative of Message. A number beyond 2^63, a list beyond kMaxListed or a message beyond kMaxBytes is encoded, and
// refused where it arrives.
template <class M>
std::string encode(const M& message);

// Another known kind than M's is Errc::corrupt.
template <class M>
Result<M> decode(std::string_view bytes);

// Whatever kind it is.
Result<Message> decode_any(std::string_view bytes);

// The answer to a request: as decode(), and a Refusal is Errc::not_found (absent) or Errc::unavailable with its reason.
template <class M>
Result<M> decode_answer(std::string_view bytes);

// Who sent it, by the first ten bytes, of whatever version; 0: nobody can tell.
NodeId sender(std::string_view bytes);

}  // namespace marmot::codec::control
