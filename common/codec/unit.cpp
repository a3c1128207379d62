// The rows payload:
//
//   [ more, base,
//     [ hlc, node, incarnation, ... ],                            versions, three numbers each
//     [ [hlc, node, incarnation, name, key*, column*]* ],         tables
//     rows,                                                       how many
//     [ table, version, op, key, value*, table, version, ... ] ]  cells: rows one after another
//
// The cells are one flat array so that a row costs no header and the parser no stack. A row has one value a column of its
// table, or none when op is remove. A table's key is a number a column: its index, nullable (1 bit), affinity (2 bits),
// collation (2 bits). Values: integer -> int, real -> float64, text -> str, blob and key -> bin, NULL -> nil.
#include <algorithm>
#include <cassert>

#include "common/codec/frame.hpp"
#include "common/codec/message.hpp"
#include "common/codec/wire.hpp"
#include "common/core/key.hpp"

namespace marmot::codec {

namespace {

constexpr uint32_t kRowFields = 4;  // table, version, op, key

// A decoded value takes 40 bytes, a NULL on the wire one: cells are limited apart from bytes.
constexpr size_t max_cells(size_t max_raw_bytes) { return std::min<size_t>(max_raw_bytes / 16, UINT32_MAX); }

class UnitVisitor : public RefusingVisitor {
 public:
  UnitVisitor(Unit& unit, size_t raw_size, size_t max_raw_bytes)
      : unit_(unit), max_count_(std::min(raw_size, max_cells(max_raw_bytes))) {}

  // What a corrupt unit was being read for; the last thing begun.
  const char* where() const { return where_; }

  bool visit_boolean(bool value) {
    unit_.more = value;
    return next(0);
  }

  bool visit_nil() { return add_value({}); }

  bool visit_positive_integer(uint64_t value) {
    if (in_cells_) {
      switch (cell_) {
        case 0: return begin_row(value);
        case 1: row_.version = static_cast<uint32_t>(value); return ++cell_, value < unit_.versions.size();
        case 2: return set_op(value);
        case 3: return false;
        default: return value <= kMaxInt63 && add_value(ValueView::of_integer(static_cast<int64_t>(value)));
      }
    }
    if (section_ == kVersions && depth_ == 2) {
      if (field_ == 0) unit_.versions.emplace_back();
      const uint32_t field = field_;
      field_ = (field_ + 1) % 3;
      return set_version_field(unit_.versions.back(), field, value);
    }
    if (section_ == kTables && depth_ == 3) {
      return field_ < 3 ? set_version_field(unit_.tables.back().id, field_++, value) : add_key_column(unit_.tables.back(), value);
    }
    if (section_ == kBase) {
      unit_.base = value;
      return value <= kMaxInt63 && next(kBase);
    }
    rows_ = value;
    return next(kRows) && value <= max_count_ / kRowFields;
  }

  bool visit_negative_integer(int64_t value) { return add_value(ValueView::of_integer(value)); }

  // SQLite holds no NaN: it is stored as NULL.
  bool visit_float64(double value) { return value == value && add_value(ValueView::of_real(value)); }

  bool visit_str(const char* data, uint32_t size) {
    if (in_cells_) return add_value(ValueView::of_text({data, size}));
    if (section_ != kTables || depth_ != 3 || field_ < 3) return false;
    UnitTable& table = unit_.tables.back();
    if (field_++ == 3) table.name.assign(data, size);
    else table.columns.emplace_back(data, size);
    return true;
  }

  bool visit_bin(const char* data, uint32_t size) {
    if (in_cells_ && cell_ == 3) {
      row_.key = {data, size};
      if (!is_key(row_.key)) return false;  // it would stop its table where it lands, on every node
      ++cell_;
      return finish_row_if_whole();
    }
    return add_value(ValueView::of_blob({data, size}));
  }

  bool start_array(uint32_t count) {
    switch (depth_++) {
      case 0: return count == 6;
      case 1: return count <= max_count_ && start_section(count);
      case 2:
        if (section_ != kTables || count < 4) return false;
        unit_.tables.emplace_back();
        field_ = 0;
        return true;
      default: return false;
    }
  }

  bool end_array() {
    if (--depth_ == 2) return whole_table(unit_.tables.back());
    if (depth_ != 1) return true;
    if (in_cells_ && (cell_ != 0 || unit_.rows.size() != rows_)) return false;
    in_cells_ = false;
    return next(section_);
  }

 private:
  enum Section : uint8_t { kMore, kBase, kVersions, kTables, kRows, kCells, kEnd };

  // Section `expected` is read.
  bool next(uint8_t expected) {
    if (section_ != expected || depth_ != 1) return false;
    ++section_;
    return true;
  }

  bool start_section(uint32_t count) {
    switch (section_) {
      case kVersions:
        where_ = "versions";
        unit_.versions.reserve(count / 3);
        field_ = 0;
        return count % 3 == 0;
      case kTables: where_ = "tables"; return true;
      case kCells:
        where_ = "rows";
        if (count < rows_ * kRowFields) return false;
        in_cells_ = true;
        unit_.rows.reserve(rows_);
        unit_.values.reserve(count - rows_ * kRowFields);
        return true;
      default: return false;
    }
  }

  bool add_key_column(UnitTable& table, uint64_t value) const {
    if (field_ != 4 || !table.columns.empty() || value > UINT32_MAX || (value & 3) > static_cast<uint64_t>(Collation::rtrim)) return false;
    table.key.push_back(UnitKeyColumn{static_cast<uint32_t>(value >> 5), static_cast<Collation>(value & 3),
                                      static_cast<Affinity>(value >> 2 & 3), (value >> 4 & 1) != 0});
    return true;
  }

  static bool whole_table(const UnitTable& table) {
    return std::all_of(table.key.begin(), table.key.end(), [&](const UnitKeyColumn& part) { return part.column < table.columns.size(); });
  }

  bool begin_row(uint64_t table) {
    if (table >= unit_.tables.size() || unit_.rows.size() == rows_) return false;
    row_.table = static_cast<uint32_t>(table);
    ++cell_;
    return true;
  }

  bool set_op(uint64_t op) {
    if (op < static_cast<uint64_t>(Op::insert) || op > static_cast<uint64_t>(Op::remove)) return false;
    row_.op = static_cast<Op>(op);
    values_left_ = row_.op == Op::remove ? 0 : unit_.tables[row_.table].columns.size();
    row_.first_value = static_cast<uint32_t>(unit_.values.size());
    ++cell_;
    return true;
  }

  bool add_value(const ValueView& value) {
    if (!in_cells_ || cell_ != kRowFields) return false;
    unit_.values.push_back(value);
    --values_left_;
    return finish_row_if_whole();
  }

  bool finish_row_if_whole() {
    if (values_left_ != 0) return true;
    unit_.rows.push_back(row_);
    cell_ = 0;
    return true;
  }

  Unit& unit_;
  const size_t max_count_;
  const char* where_ = "header";
  uint8_t section_ = kMore;
  bool in_cells_ = false;
  int depth_ = 0;
  uint32_t field_ = 0;
  uint64_t rows_ = 0;
  uint32_t cell_ = 0;
  size_t values_left_ = 0;
  UnitRow row_;
};

}  // namespace

struct UnitWriter::State {
  msgpack::sbuffer versions, tables, cells;
  Packer pack_versions{versions}, pack_tables{tables}, pack_cells{cells};
  Version last_version;
  std::vector<uint32_t> columns;  // of each table
  uint32_t version_count = 0;
  size_t rows = 0;
  size_t cell_count = 0;
  uint32_t values_left = 0;
};

UnitWriter::UnitWriter() : state_(std::make_unique<State>()) {}
UnitWriter::~UnitWriter() = default;
UnitWriter::UnitWriter(UnitWriter&&) noexcept = default;
UnitWriter& UnitWriter::operator=(UnitWriter&&) noexcept = default;

uint32_t UnitWriter::add_table(UnitTable table) {
  State& state = *state_;
  const auto columns = static_cast<uint32_t>(table.columns.size());
  state.pack_tables.pack_array(4 + static_cast<uint32_t>(table.key.size()) + columns);
  pack_version(state.pack_tables, table.id);
  pack_text(state.pack_tables, table.name);
  for (const UnitKeyColumn& part : table.key) {
    state.pack_tables.pack_uint64(uint64_t{part.column} << 5 | uint64_t{part.nullable} << 4 | static_cast<uint64_t>(part.affinity) << 2 |
                                  static_cast<uint64_t>(part.collation));
  }
  for (const std::string& column : table.columns) pack_text(state.pack_tables, column);
  state.columns.push_back(columns);
  return static_cast<uint32_t>(state.columns.size() - 1);
}

uint32_t UnitWriter::add_version(const Version& version) {
  State& state = *state_;
  if (state.version_count == 0 || version != state.last_version) {
    pack_version(state.pack_versions, version);
    state.last_version = version;
    ++state.version_count;
  }
  return state.version_count - 1;
}

void UnitWriter::row(uint32_t table, uint32_t version, Op op, std::string_view key) {
  State& state = *state_;
  assert(state.values_left == 0 && "the row before has all its values");
  assert(table < state.columns.size() && version < state.version_count);
  Packer& out = state.pack_cells;
  out.pack_uint32(table);
  out.pack_uint32(version);
  out.pack_uint8(static_cast<uint8_t>(op));
  pack_blob(out, key);
  state.values_left = op == Op::remove ? 0 : state.columns[table];
  state.cell_count += kRowFields + state.values_left;
  ++state.rows;
}

void UnitWriter::value(const ValueView& value) {
  State& state = *state_;
  assert(state.values_left > 0 && "a row has as many values as its table columns");
  --state.values_left;
  switch (value.type) {
    case ValueType::null: state.pack_cells.pack_nil(); return;
    case ValueType::integer: state.pack_cells.pack_int64(value.integer); return;
    case ValueType::real:
      if (value.real == value.real) pack_real(state.cells, value.real);
      else state.pack_cells.pack_nil();  // as SQLite stores a NaN
      return;
    case ValueType::text: pack_text(state.pack_cells, value.bytes); return;
    case ValueType::blob: pack_blob(state.pack_cells, value.bytes); return;
  }
}

size_t UnitWriter::rows() const { return state_->rows; }

size_t UnitWriter::cells() const { return state_->cell_count; }

size_t UnitWriter::raw_bytes() const { return state_->versions.size() + state_->tables.size() + state_->cells.size(); }

Result<std::string> UnitWriter::finish(bool more, StreamSeq base) {
  const std::unique_ptr<State> state = std::move(state_);
  assert(state->values_left == 0 && "the last row has all its values");
  msgpack::sbuffer head;
  Packer out(head);
  out.pack_array(6);
  more ? out.pack_true() : out.pack_false();
  out.pack_uint64(base);
  pack_array32(head, state->version_count * 3);
  head.write(state->versions.data(), state->versions.size());
  pack_array32(head, static_cast<uint32_t>(state->columns.size()));
  head.write(state->tables.data(), state->tables.size());
  out.pack_uint64(state->rows);
  pack_array32(head, static_cast<uint32_t>(state->cell_count));

  const size_t raw_size = head.size() + state->cells.size();
  if (raw_size > kMaxRawBytes || state->cell_count > max_cells(kMaxRawBytes)) {
    return make_error(Errc::bad_input, "encode unit: " + std::to_string(state->rows) + " rows of " +
                                           std::to_string(raw_size) + " bytes are more than one unit can hold");
  }
  return compress({view(head), view(state->cells)});
}

Result<DecodedUnit> decode_unit(const Envelope& envelope, std::string_view payload, size_t max_raw_bytes) {
  TRY_ASSIGN(Buffer raw, decompress(payload, max_raw_bytes));
  DecodedUnit decoded;
  decoded.unit.origin = envelope.origin;
  decoded.unit.number = envelope.number;
  UnitVisitor visitor(decoded.unit, raw.size, max_raw_bytes);
  if (!parse_whole(raw.view(), visitor)) {
    return make_error(Errc::corrupt, std::string("unit does not decode: ") + visitor.where());
  }
  decoded.bytes = std::move(raw.data);
  decoded.bytes_size = raw.size;
  return decoded;
}

}  // namespace marmot::codec
