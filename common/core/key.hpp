// Canonical key bytes: two rows have equal bytes exactly when SQLite's key index holds them for equal, and decoding gives
// values that find the row (`WHERE k1 = ? AND ...`).
//
//   key     := part+
//   part    := integer | real | text | blob | rowid
//   blob    := 0x01 bytes, 00 written as 00 FF, then 00
//   text    := 0x02 likewise
//   real    := 0x21 8 bytes, sign-flipped big-endian   only what is not exactly an int64
//   rowid   := 0x30 integer(RowLife::at) integer(rowid there)      or kFormerKey and a hash
//   integer := (0x3f - n) n bytes of ~(-value)         value < 0, n = 1 to 8 significant bytes
//            | 01xxxxxx                                value >= 0: as UTF-8 does, the first byte says how many follow
//            | 10xxxxxx 1 byte                         below 2^14
//            | 110xxxxx 2 bytes                        below 2^21
//            | 1110xxxx 3 bytes                        below 2^28
//            | 11110xxx 4 bytes                        below 2^35
//            | (0xf8 - 5 + n) n bytes                  n = 5 to 8 significant bytes
//
// The shortest form, always, and big-endian: integer keys that grow give bytes that grow, so the version table is appended
// to, not scattered over. Every row has its key here a second time, so a byte counts: 100,000 takes three.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/core/value.hpp"

namespace marmot {

// SQLite's three built-in collations; a key under any other is refused unless the agent loads it.
enum class Collation : uint8_t { binary, nocase, rtrim };

// Appends one part to `out`. `value` must not be NULL (such a row is known by its rowid).
void append_key_part(std::string& out, const ValueView& value, Collation collation = Collation::binary);

// Under what number a file names the rows without a declared key that are new to it while `agent` works on it: another one in each
// life of each agent, so that two copies of a file give no name to two rows, whatever their agents take themselves for
// (decision 0030). Files of before have node ids in its place.
NodeId life_of(const Origin& agent);

// Names rows without a declared key.
struct RowLife {
  NodeId number;      // life_of()
  bool dated = true;  // false: begun by an agent of before decision 0044
  // What stands in the key of a row that the log tells of as new at that time: the number, moved on by the milliseconds. So a row has not got the
  // name of another one that had its rowid at another time, whether anybody remembers that one or not.
  NodeId at(WallMs came) const;
};

// Appends the identity of a row without a declared key: the life in which it was first seen, as RowLife has it, and its rowid there.
void append_rowid_part(std::string& out, NodeId life, int64_t rowid);

// In place of the life where a row had a declared key until its table lost it: the number is then a hash of that key, the same
// on every node (decision 0012), and no rowid.
inline constexpr NodeId kFormerKey{0};

struct RowidIdentity {
  NodeId life;
  int64_t rowid = 0;
};

// A decoded key. Values borrow from `storage` or from the bytes given. Moving keeps them valid; a copy would borrow from
// the original, so there is none.
struct DecodedKey {
  DecodedKey() = default;
  DecodedKey(DecodedKey&&) = default;
  DecodedKey& operator=(DecodedKey&&) = default;

  std::vector<ValueView> parts;      // empty when the key is a rowid identity
  bool is_rowid = false;
  RowidIdentity rowid;
  std::vector<std::string> storage;  // unescaped text; reserved up front so that views stay valid
};

// Errc::corrupt on anything append_* does not write. Keeps views into `bytes`.
Result<DecodedKey> decode_key(std::string_view bytes);

// Whether decode_key() can read it, without keeping anything.
bool is_key(std::string_view bytes);

// For people: `17`, `'text'`, `(1, 'a')`, `x'0aff'`, `rowid 7 of life 3`, `former key -5`. Not for machines.
std::string describe_key(std::string_view bytes);

// The fold that makes text equal under `collation` byte-equal (SQLite 3.40 main.c: nocaseCollatingFunc, rtrimCollFunc).
std::string fold_text(std::string_view text, Collation collation);

}  // namespace marmot
