#include "tests/unit/generator.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "common/codec/message.hpp"
#include "common/core/key.hpp"

namespace marmot::test {

int64_t random_integer(Random& random) {
  const auto near = static_cast<int64_t>(random.below(5)) - 2;
  const uint64_t shift = random.below(64);
  const uint64_t bits = random.next();
  switch (random.below(7)) {
    case 0: return near;
    case 1: return INT64_MAX - 2 + near % 2;
    case 2: return INT64_MIN + 2 + near % 2;
    case 3: return (int64_t{1} << (shift % 62)) + near;
    case 4: return -(int64_t{1} << (shift % 62)) + near;
    case 5: return (int64_t{1} << 53) + near;
    default: return static_cast<int64_t>(bits >> shift);
  }
}

double random_real(Random& random) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const int64_t integer = random_integer(random);
  const uint64_t bits = random.next();
  const uint64_t kind = random.below(8);
  const double sign = random.chance(2) ? -1.0 : 1.0;
  switch (kind) {
    case 0: return static_cast<double>(integer);
    case 1: return std::nextafter(static_cast<double>(integer), sign * kInfinity);
    case 2: return sign * 0.0;
    case 3: return sign * kInfinity;
    case 4: return sign * std::ldexp(1.0, 63);
    case 5: return sign * std::numeric_limits<double>::denorm_min();
    case 6: return static_cast<double>(integer) + 0.5;
    default: {
      double any = 0;
      std::memcpy(&any, &bits, sizeof any);
      return std::isnan(any) ? 1e300 : any;
    }
  }
}

std::string random_bytes(Random& random, size_t max_length) {
  static constexpr char kLetters[] = {'a', 'A', 'b', 'B', 'z', 'Z', ' ', ' ', '\0', '\0', '\x01', '\xff', '\xc3', '\xa9',
                                      '@', '[', '`', '{', '1'};
  std::string out(random.below(max_length + 1), '\0');
  for (char& c : out) c = kLetters[random.below(sizeof kLetters)];
  return out;
}

OwnedValue random_key_value(Random& random) {
  OwnedValue value;
  value.type = static_cast<ValueType>(1 + random.below(4));
  switch (value.type) {
    case ValueType::integer: value.integer = random_integer(random); break;
    case ValueType::real: value.real = random_real(random); break;
    case ValueType::text:
    case ValueType::blob: value.bytes = random_bytes(random, 4); break;
    case ValueType::null: break;
  }
  return value;
}

std::string random_key(Random& random) {
  std::string key;
  if (random.chance(4)) append_rowid_part(key, NodeId{1 + random.below(kMaxNodeId)}, random_integer(random));
  else for (uint64_t parts = 1 + random.below(3); parts > 0; --parts) append_key_part(key, random_key_value(random).view());
  return key;
}

OwnedValue random_value(Random& random) {
  if (random.chance(5)) return {};
  OwnedValue value = random_key_value(random);
  const bool is_bytes = value.type == ValueType::text || value.type == ValueType::blob;
  if (is_bytes && random.chance(8)) value.bytes = random_bytes(random, 70000);
  return value;
}

Version random_version(Random& random) {
  Version version;
  version.hlc.value = (random.next() >> (1 + random.below(60))) % Hlc::from_wall(Hlc::kEnd).value;
  version.origin.node.value = random.next() >> (11 + random.below(50));
  version.origin.incarnation.value = random.next() >> 1;
  return version;
}

codec::HandledConflict random_handled(Random& random) {
  codec::HandledConflict out;
  out.table = "t" + random_bytes(random, 20);
  out.key = random_bytes(random, 20);
  out.loser = random_version(random);
  out.loser.hlc.value |= 1;
  out.by.value = random.next() >> 11;
  out.at = static_cast<WallMs>(random.next() >> (1 + random.below(60)));
  return out;
}

codec::ClockChange random_clock(Random& random) {
  codec::ClockChange out;
  out.bound_ms = random.chance(2) ? 0 : static_cast<int64_t>(random.next() >> (1 + random.below(60)));
  const auto base = static_cast<WallMs>(1 + random.below(1'700'000'000'000));
  std::vector<Hlc> stamps;
  for (uint64_t i = random.below(30), at = Hlc::from_wall(base).value; i > 0; --i) stamps.push_back(Hlc{at += 1 + random.below(uint64_t{1} << random.below(45))});
  out.reset = make_clock_reset(stamps, base);
  return out;
}

OwnedUnit random_unit(Random& random) {
  OwnedUnit out;
  Unit& unit = out.unit;
  unit.origin = random_version(random).origin;
  unit.number = random.next() >> random.below(64);
  unit.more = random.chance(2);
  unit.base = random.next() >> (1 + random.below(63));
  const size_t tables = random.below(4);
  for (size_t i = 0; i < tables; ++i) {
    UnitTable table;
    table.id = random_version(random);
    table.name = random_bytes(random, 6);
    table.columns.resize(random.below(6));
    for (std::string& column : table.columns) column = random_bytes(random, 5);
    const size_t keys = table.columns.empty() ? 0 : random.below(3);
    for (size_t k = 0; k < keys; ++k) {
      UnitKeyColumn& part = table.key.emplace_back();
      part.column = static_cast<uint32_t>(random.below(table.columns.size()));
      part.collation = static_cast<Collation>(random.below(3));
      part.affinity = static_cast<Affinity>(random.below(4));
      part.nullable = random.chance(2);
    }
    unit.tables.push_back(std::move(table));
  }
  const size_t rows = tables == 0 ? 0 : random.below(40);
  for (size_t i = 0; i < rows; ++i) {
    const Version version = random_version(random);
    if (unit.versions.empty() || (random.chance(3) && version != unit.versions.back())) unit.versions.push_back(version);
    UnitRow row;
    row.table = static_cast<uint32_t>(random.below(tables));
    row.version = static_cast<uint32_t>(unit.versions.size() - 1);
    row.op = static_cast<Op>(1 + random.below(3));
    row.key = out.bytes.emplace_back(random_key(random));
    row.first_value = static_cast<uint32_t>(unit.values.size());
    const size_t values = row.op == Op::remove ? 0 : unit.tables[row.table].columns.size();
    for (size_t v = 0; v < values; ++v) {
      OwnedValue value = random_value(random);
      ValueView view = value.view();
      view.bytes = out.bytes.emplace_back(std::move(value.bytes));
      unit.values.push_back(view);
    }
    unit.rows.push_back(row);
  }
  return out;
}

std::string encode_unit(const Unit& unit) {
  codec::UnitWriter writer;
  for (const UnitTable& table : unit.tables) writer.add_table(table);
  for (const UnitRow& row : unit.rows) {
    const uint32_t version = writer.add_version(unit.versions[row.version]);
    writer.row(row.table, version, row.op, row.key);
    if (row.op == Op::remove) continue;
    for (size_t i = 0; i < unit.tables[row.table].columns.size(); ++i) writer.value(unit.values[row.first_value + i]);
  }
  auto payload = writer.finish(unit.more, unit.base);
  if (!payload) std::abort();
  return *std::move(payload);
}

bool same_unit(const Unit& a, const Unit& b) {
  if (a.origin != b.origin || a.number != b.number || a.more != b.more || a.base != b.base || a.versions != b.versions) return false;
  if (a.tables.size() != b.tables.size() || a.rows.size() != b.rows.size() || a.values.size() != b.values.size()) return false;
  for (size_t i = 0; i < a.tables.size(); ++i) {
    const UnitTable& x = a.tables[i];
    const UnitTable& y = b.tables[i];
    if (x.id != y.id || x.name != y.name || x.columns != y.columns || x.key != y.key) return false;
  }
  for (size_t i = 0; i < a.rows.size(); ++i) {
    const UnitRow& x = a.rows[i];
    const UnitRow& y = b.rows[i];
    if (x.table != y.table || x.version != y.version || x.op != y.op || x.key != y.key || x.first_value != y.first_value) {
      return false;
    }
  }
  for (size_t i = 0; i < a.values.size(); ++i) {
    if (!same_value(a.values[i], b.values[i])) return false;
  }
  return true;
}

bool well_formed(const Unit& unit) {
  size_t values = 0;
  for (const UnitTable& table : unit.tables) {
    for (const UnitKeyColumn& part : table.key) {
      if (part.column >= table.columns.size() || part.collation > Collation::rtrim) return false;
    }
  }
  for (const UnitRow& row : unit.rows) {
    if (row.table >= unit.tables.size() || row.version >= unit.versions.size() || row.first_value != values) return false;
    if (!is_key(row.key)) return false;
    if (row.op != Op::insert && row.op != Op::update && row.op != Op::remove) return false;
    if (row.op != Op::remove) values += unit.tables[row.table].columns.size();
  }
  return values == unit.values.size();
}

}  // namespace marmot::test
