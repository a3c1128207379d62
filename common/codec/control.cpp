// The fields of each message are listed once, in fields(); Writer and Reader walk that list. Writing goes through msgpack's
// packer, which takes the shortest forms. Reading is our own: the packer's counterpart calls back value by value, which suits
// one large message (unit.cpp) and not two dozen small ones, and it takes longer forms too.
#include "common/codec/control.hpp"

#include <concepts>
#include <type_traits>
#include <utility>

#include "common/codec/wire.hpp"

namespace marmot::codec::control {

namespace {

constexpr size_t kHeadSize = 10;
constexpr uint8_t kLastKind = std::variant_size_v<Message>;

// A text that holds any bytes, and a number that has all 64 bits.
template <class S>
struct Bytes {
  S& of;
};
template <class N>
struct Hash {
  N& of;
};
template <class S>
Bytes<S> bytes(S& of) {
  return {of};
}
template <class N>
Hash<N> hash(N& of) {
  return {of};
}

class Writer {
 public:
  static constexpr bool kReads = false;

  template <class... T>
  bool record(const T&... parts) {
    out_.pack_array(sizeof...(T));
    return (value(parts) && ...);
  }
  std::string_view written() const { return view(buffer_); }

 private:
  bool value(bool is) { return is ? out_.pack_true() : out_.pack_false(), true; }
  template <std::unsigned_integral N>
  bool value(N number) {
    out_.pack_uint64(number);
    return true;
  }
  bool value(int64_t count) { return value(static_cast<uint64_t>(count)); }
  bool value(RepairOp op) { return value(static_cast<uint64_t>(op)); }
  bool value(NodeId node) { return value(node.value); }
  bool value(Incarnation incarnation) { return value(incarnation.value); }
  bool value(Hlc hlc) { return value(hlc.value); }
  template <class N>
  bool value(Hash<N> number) {
    return value(number.of);
  }
  bool value(const std::string& text) { return pack_text(out_, text), true; }
  template <class S>
  bool value(Bytes<S> text) {
    return pack_blob(out_, text.of), true;
  }
  template <class T>
  bool value(const std::vector<T>& list) {
    out_.pack_array(static_cast<uint32_t>(list.size()));
    for (const T& item : list) value(item);
    return true;
  }
  template <class T>
    requires std::is_class_v<T>
  bool value(const T& part) {
    return fields(*this, part);
  }

  msgpack::sbuffer buffer_;
  Packer out_{buffer_};
};

// Reads front to back; false from any of these: the bytes are no such message.
class Reader {
 public:
  static constexpr bool kReads = true;

  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }

  template <class... T>
  bool record(T&&... parts) {
    uint64_t count = 0;
    return array(count) && count == sizeof...(T) && (value(parts) && ...);
  }

 private:
  bool byte(uint8_t& out) {
    if (rest_.empty()) return false;
    out = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return true;
  }

  // `size` bytes, big-endian, that no shorter form could hold: the number is above `above`.
  bool word(int size, uint64_t above, uint64_t& out) {
    out = 0;
    for (int i = 0; i < size; ++i) {
      uint8_t part = 0;
      if (!byte(part)) return false;
      out = out << 8 | part;
    }
    return out > above;
  }

  bool any_number(uint64_t& out) {
    uint8_t form = 0;
    if (!byte(form)) return false;
    switch (form) {
      case 0xcc: return word(1, 0x7f, out);
      case 0xcd: return word(2, UINT8_MAX, out);
      case 0xce: return word(4, UINT16_MAX, out);
      case 0xcf: return word(8, UINT32_MAX, out);
      default: out = form; return form <= 0x7f;
    }
  }

  bool number(uint64_t& out, uint64_t most) { return any_number(out) && out <= most; }

  bool array(uint64_t& count) {
    uint8_t form = 0;
    if (!byte(form)) return false;
    switch (form) {
      case 0xdc: return word(2, 0xf, count);
      case 0xdd: return word(4, UINT16_MAX, count);
      default: count = form & 0xfU; return (form & 0xf0) == 0x90;
    }
  }

  bool take(uint64_t size, std::string& out) {
    if (size > rest_.size()) return false;
    out.assign(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return true;
  }

  bool value(bool& is) {
    uint8_t form = 0;
    if (!byte(form)) return false;
    is = form == 0xc3;
    return is || form == 0xc2;
  }
  template <std::unsigned_integral N>
  bool value(N& out) {
    uint64_t read = 0;
    if (!number(read, sizeof(N) == 8 ? kMaxInt63 : static_cast<uint64_t>(static_cast<N>(-1)))) return false;
    out = static_cast<N>(read);
    return true;
  }
  bool value(int64_t& count) {
    uint64_t read = 0;
    if (!number(read, kMaxInt63)) return false;
    count = static_cast<int64_t>(read);
    return true;
  }
  bool value(RepairOp& op) {
    uint64_t read = 0;
    if (!number(read, static_cast<uint64_t>(RepairOp::remove))) return false;
    op = static_cast<RepairOp>(read);
    return true;
  }
  bool value(NodeId& node) { return number(node.value, kMaxNodeId); }
  bool value(Incarnation& incarnation) { return number(incarnation.value, kMaxInt63); }
  bool value(Hlc& hlc) { return number(hlc.value, kMaxHlc); }
  bool value(Hash<uint64_t>& hash) { return any_number(hash.of); }
  bool value(std::string& text) {
    uint8_t form = 0;
    uint64_t size = 0;
    if (!byte(form)) return false;
    switch (form) {
      case 0xd9: return word(1, 0x1f, size) && take(size, text);
      case 0xda: return word(2, UINT8_MAX, size) && take(size, text);
      case 0xdb: return word(4, UINT16_MAX, size) && take(size, text);
      default: return (form & 0xe0) == 0xa0 && take(form & 0x1f, text);
    }
  }
  bool value(Bytes<std::string>& text) {
    uint8_t form = 0;
    uint64_t size = 0;
    if (!byte(form)) return false;
    switch (form) {
      case 0xc4: return byte(form) && take(form, text.of);
      case 0xc5: return word(2, UINT8_MAX, size) && take(size, text.of);
      case 0xc6: return word(4, UINT16_MAX, size) && take(size, text.of);
      default: return false;
    }
  }
  template <class T>
  bool value(std::vector<T>& list) {
    uint64_t count = 0;
    if (!array(count) || count > kMaxListed) return false;
    for (; count > 0; --count) {
      T item;
      if (!value(item)) return false;
      list.push_back(std::move(item));
    }
    return true;
  }
  template <class T>
    requires std::is_class_v<T>
  bool value(T& part) {
    return fields(*this, part);
  }

  std::string_view rest_;
};

// What Writer only looks at and Reader fills.
template <class Io, class T>
using Of = std::conditional_t<Io::kReads, T&, const T&>;

// clang-format off
template <class Io> bool fields(Io& io, Of<Io, Version> m) { return io.record(m.hlc, m.origin.node, m.origin.incarnation); }
template <class Io> bool fields(Io& io, Of<Io, HashKey> m) { return io.record(hash(m.low), hash(m.high)); }
template <class Io> bool fields(Io& io, Of<Io, Hash128> m) { return io.record(hash(m.low), hash(m.high)); }
template <class Io> bool fields(Io& io, Of<Io, TableDigest::Bucket> m) { return io.record(m.rows, m.sum); }
template <class Io> bool fields(Io& io, Of<Io, KeyHash> m) { return io.record(bytes(m.key), m.hash); }
template <class Io> bool fields(Io& io, Of<Io, FullTextFault> m) { return io.record(m.index, m.reason, m.out_of_step); }
template <class Io> bool fields(Io& io, Of<Io, KeyRange> m) { return io.record(m.table, bytes(m.after), bytes(m.upto)); }
template <class Io> bool fields(Io& io, Of<Io, CompareBy> m) { return io.record(m.seed, m.rows); }
template <class Io> bool fields(Io& io, Of<Io, RangeKey> m) { return io.record(bytes(m.key), m.version, hash(m.hash), m.seq, m.live, m.row); }
template <class Io> bool fields(Io& io, Of<Io, RepairAction> m) { return io.record(m.op, bytes(m.key), m.version); }
template <class Io> bool fields(Io& io, Of<Io, MemberList::Member> m) { return io.record(m.node, m.incarnation, m.age_ms, m.applied); }
template <class Io> bool fields(Io& io, Of<Io, DigestAnswer::Table> m) { return io.record(m.name, m.rows, m.hash); }
template <class Io> bool fields(Io& io, Of<Io, ScrubAnswer::Found> m) { return io.record(m.table, m.rows); }

template <class Io> bool fields(Io& io, Of<Io, Refusal> m) { return io.record(m.absent, m.reason); }
template <class Io> bool fields(Io& io, Of<Io, Beat> m) { return io.record(m.incarnation, m.applied, m.pending, m.able, m.marmot, m.data_format); }
template <class Io> bool fields(Io& io, Of<Io, MemberList> m) { return io.record(m.members); }
template <class Io> bool fields(Io& io, Of<Io, DigestRequest> m) { return io.record(m.seq, m.seed); }
template <class Io> bool fields(Io& io, Of<Io, DigestAnswer> m) { return io.record(m.applied, m.pending, m.tables); }
template <class Io> bool fields(Io& io, Of<Io, BucketsRequest> m) { return io.record(m.table, m.seed); }
template <class Io> bool fields(Io& io, Of<Io, BucketsAnswer> m) { return io.record(m.buckets); }
template <class Io> bool fields(Io& io, Of<Io, KeysRequest> m) { return io.record(m.table, m.bucket, m.seed); }
template <class Io> bool fields(Io& io, Of<Io, KeysAnswer> m) { return io.record(m.all, m.keys); }
template <class Io> bool fields(Io& io, Of<Io, FullTextRequest>) { return io.record(); }
template <class Io> bool fields(Io& io, Of<Io, FullTextAnswer> m) { return io.record(m.faults); }
template <class Io> bool fields(Io& io, Of<Io, RangeDigestRequest> m) { return io.record(m.range, m.by); }
template <class Io> bool fields(Io& io, Of<Io, RangeDigestAnswer> m) {
  return io.record(m.digest.position, m.digest.newest, m.digest.floor, m.digest.pending, m.digest.cut, m.digest.registers, m.digest.sum);
}
template <class Io> bool fields(Io& io, Of<Io, RangeKeysRequest> m) { return io.record(m.range, m.by); }
template <class Io> bool fields(Io& io, Of<Io, RangeKeysAnswer> m) {
  return io.record(m.held.position, m.held.floor, m.held.floor_hlc, m.held.cut, m.held.keys);
}
template <class Io> bool fields(Io& io, Of<Io, RepairRequest> m) { return io.record(m.table, m.actions); }
template <class Io> bool fields(Io& io, Of<Io, RepairAnswer> m) { return io.record(m.done); }
template <class Io> bool fields(Io& io, Of<Io, ScrubRequest>) { return io.record(); }
template <class Io> bool fields(Io& io, Of<Io, ScrubAnswer> m) { return io.record(m.found); }
template <class Io> bool fields(Io& io, Of<Io, Repaired> m) { return io.record(m.divergent); }
template <class Io> bool fields(Io& io, Of<Io, SnapshotRequest> m) { return io.record(m.seq, m.damaged); }
template <class Io> bool fields(Io& io, Of<Io, Alive> m) {
  return io.record(m.incarnation, m.asker, m.asking, m.first, m.host, m.pid, m.started);
}
template <class Io> bool fields(Io& io, Of<Io, ClockState> m) { return io.record(m.ahead, m.off_ms); }
// clang-format on

struct Head {
  Kind kind = Kind::refusal;
  NodeId node;
};

std::string node_text(NodeId node) { return "node " + std::to_string(node.value); }

Result<Head> read_head(std::string_view bytes) {
  if (bytes.size() < kHeadSize || bytes[0] == 0 || bytes[1] == 0) return make_error(Errc::corrupt, "not a message between agents");
  if (bytes.size() > kMaxBytes) return make_error(Errc::corrupt, "a message between agents of " + std::to_string(bytes.size()) + " bytes");
  const NodeId node = sender(bytes);
  if (node.value == 0) return make_error(Errc::corrupt, "a message between agents from nobody");
  const auto version = static_cast<uint8_t>(bytes[0]), kind = static_cast<uint8_t>(bytes[1]);
  if (version > kVersion) {
    return make_error(Errc::newer_format, node_text(node) + " speaks control format " + std::to_string(version) + ", this Marmot " +
                                              std::to_string(kVersion) + ": upgrade it");
  }
  if (kind > kLastKind) {
    return make_error(Errc::newer_format, node_text(node) + " sends control message " + std::to_string(kind) + " of format " + std::to_string(version) +
                                              ", this Marmot knows 1 to " + std::to_string(kLastKind) + ": upgrade it");
  }
  if (version < version_of(static_cast<Kind>(kind))) {
    return make_error(Errc::newer_format, node_text(node) + " sends control message " + std::to_string(kind) + " of format " + std::to_string(version) +
                                              ", this Marmot reads format " + std::to_string(version_of(static_cast<Kind>(kind))) + ": upgrade that node");
  }
  if (version > version_of(static_cast<Kind>(kind))) {
    return make_error(Errc::corrupt, node_text(node) + ": control message " + std::to_string(kind) + " of format " + std::to_string(version) +
                                         ", which it does not have");
  }
  return Head{static_cast<Kind>(kind), node};
}

template <class M>
Result<M> read(const Head& head, std::string_view bytes) {
  M message;
  message.node = head.node;
  Reader reader(bytes.substr(kHeadSize));
  if (!fields(reader, message) || !reader.empty()) {
    return make_error(Errc::corrupt, node_text(head.node) + ": control message " + std::to_string(static_cast<int>(head.kind)) + " does not decode");
  }
  return message;
}

template <size_t... I>
Result<Message> read_any(const Head& head, std::string_view bytes, std::index_sequence<I...>) {
  Result<Message> out = make_error(Errc::corrupt, "");
  const auto read_as = [&](auto index) {
    using M = std::variant_alternative_t<decltype(index)::value, Message>;
    static_assert(static_cast<size_t>(M::kKind) == decltype(index)::value + 1, "alternatives stand in the order of their kinds");
    if (head.kind != M::kKind) return false;
    Result<M> message = read<M>(head, bytes);
    if (message) out = Message(*std::move(message));
    else out = std::move(message).error();
    return true;
  };
  (read_as(std::integral_constant<size_t, I>()) || ...);
  return out;
}

}  // namespace

NodeId sender(std::string_view bytes) {
  if (bytes.size() < kHeadSize) return {};
  NodeId node;
  for (size_t i = 2; i < kHeadSize; ++i) node.value = node.value << 8 | static_cast<uint8_t>(bytes[i]);
  return node.value <= kMaxNodeId ? node : NodeId{};
}

template <class M>
std::string encode(const M& message) {
  Writer writer;
  fields(writer, message);
  std::string out;
  out.reserve(kHeadSize + writer.written().size());
  out.push_back(static_cast<char>(version_of(M::kKind)));
  out.push_back(static_cast<char>(M::kKind));
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(message.node.value >> shift));
  return out.append(writer.written());
}

template <class M>
Result<M> decode(std::string_view bytes) {
  TRY_ASSIGN(const Head head, read_head(bytes));
  if (head.kind != M::kKind) {
    return make_error(Errc::corrupt, node_text(head.node) + ": control message " + std::to_string(static_cast<int>(head.kind)) + " where " +
                                         std::to_string(static_cast<int>(M::kKind)) + " belongs");
  }
  return read<M>(head, bytes);
}

template <class M>
Result<M> decode_answer(std::string_view bytes) {
  if (bytes.size() < kHeadSize || bytes[0] != version_of(Kind::refusal) || bytes[1] != static_cast<char>(Kind::refusal)) return decode<M>(bytes);
  TRY_ASSIGN(Refusal refusal, decode<Refusal>(bytes));
  return make_error(refusal.absent ? Errc::not_found : Errc::unavailable, node_text(refusal.node) + ": " + refusal.reason);
}

Result<Message> decode_any(std::string_view bytes) {
  TRY_ASSIGN(const Head head, read_head(bytes));
  return read_any(head, bytes, std::make_index_sequence<std::variant_size_v<Message>>());
}

#define MARMOT_CONTROL_MESSAGE(M)            \
  template std::string encode(const M&);     \
  template Result<M> decode(std::string_view); \
  template Result<M> decode_answer(std::string_view);

MARMOT_CONTROL_MESSAGE(Refusal)
MARMOT_CONTROL_MESSAGE(Beat)
MARMOT_CONTROL_MESSAGE(MemberList)
MARMOT_CONTROL_MESSAGE(DigestRequest)
MARMOT_CONTROL_MESSAGE(DigestAnswer)
MARMOT_CONTROL_MESSAGE(BucketsRequest)
MARMOT_CONTROL_MESSAGE(BucketsAnswer)
MARMOT_CONTROL_MESSAGE(KeysRequest)
MARMOT_CONTROL_MESSAGE(KeysAnswer)
MARMOT_CONTROL_MESSAGE(FullTextRequest)
MARMOT_CONTROL_MESSAGE(FullTextAnswer)
MARMOT_CONTROL_MESSAGE(RangeDigestRequest)
MARMOT_CONTROL_MESSAGE(RangeDigestAnswer)
MARMOT_CONTROL_MESSAGE(RangeKeysRequest)
MARMOT_CONTROL_MESSAGE(RangeKeysAnswer)
MARMOT_CONTROL_MESSAGE(RepairRequest)
MARMOT_CONTROL_MESSAGE(RepairAnswer)
MARMOT_CONTROL_MESSAGE(ScrubRequest)
MARMOT_CONTROL_MESSAGE(ScrubAnswer)
MARMOT_CONTROL_MESSAGE(Repaired)
MARMOT_CONTROL_MESSAGE(SnapshotRequest)
MARMOT_CONTROL_MESSAGE(Alive)
MARMOT_CONTROL_MESSAGE(ClockState)

}  // namespace marmot::codec::control
