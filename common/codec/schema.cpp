// The small payloads: schema objects and the genesis.
//
//   schema  := [ [type, name, table, sql, hlc, node, incarnation]* ]
//   genesis := [ stream id ]
#include "common/codec/frame.hpp"
#include "common/codec/message.hpp"
#include "common/codec/wire.hpp"

namespace marmot::codec {

namespace {

// SQLite takes statements of up to 10^9 bytes; a schema beyond this is not one.
constexpr size_t kMaxSchemaBytes = size_t{256} << 20;
constexpr size_t kMaxGenesisBytes = 64;
constexpr uint32_t kObjectFields = 7;

struct SchemaVisitor : RefusingVisitor {
  std::vector<SchemaObject> objects;
  int depth = 0;
  uint32_t field = 0;

  bool start_array(uint32_t count) {
    if (++depth == 1) return true;  // objects are counted as they come, not reserved on the word of a header
    if (depth != 2 || count != kObjectFields) return false;
    objects.emplace_back();
    field = 0;
    return true;
  }

  bool end_array() {
    --depth;
    return true;
  }

  bool visit_str(const char* data, uint32_t size) {
    if (depth != 2 || field > 3) return false;
    SchemaObject& object = objects.back();
    std::string* const fields[] = {&object.type, &object.name, &object.table, &object.sql};
    fields[field++]->assign(data, size);
    return true;
  }

  bool visit_positive_integer(uint64_t value) {
    if (depth != 2 || field < 4) return false;
    return set_version_field(objects.back().id, field++ - 4, value);
  }
};

struct GenesisVisitor : RefusingVisitor {
  uint64_t id = 0;
  int at = 0;

  bool start_array(uint32_t count) { return at++ == 0 && count == 1; }
  bool visit_positive_integer(uint64_t value) {
    id = value;
    return at++ == 1 && value != 0;
  }
};

}  // namespace

Result<std::string> encode_schema(const std::vector<SchemaObject>& objects) {
  msgpack::sbuffer raw;
  Packer out(raw);
  out.pack_array(static_cast<uint32_t>(objects.size()));
  for (const SchemaObject& object : objects) {
    out.pack_array(kObjectFields);
    pack_text(out, object.type);
    pack_text(out, object.name);
    pack_text(out, object.table);
    pack_text(out, object.sql);
    pack_version(out, object.id);
    if (raw.size() > kMaxSchemaBytes) {
      return make_error(Errc::bad_input, "encode schema: larger than " + std::to_string(kMaxSchemaBytes) + " bytes");
    }
  }
  return compress({view(raw)});
}

Result<std::vector<SchemaObject>> decode_schema(std::string_view payload) {
  TRY_ASSIGN(const Buffer raw, decompress(payload, kMaxSchemaBytes));
  SchemaVisitor visitor;
  if (!parse_whole(raw.view(), visitor)) return make_error(Errc::corrupt, "schema does not decode");
  return std::move(visitor.objects);
}

std::string encode_genesis(uint64_t stream_id) {
  msgpack::sbuffer raw;
  Packer(raw).pack_array(1).pack_uint64(stream_id);
  return *compress({view(raw)});
}

Result<uint64_t> decode_genesis(std::string_view payload) {
  TRY_ASSIGN(const Buffer raw, decompress(payload, kMaxGenesisBytes));
  GenesisVisitor visitor;
  if (!parse_whole(raw.view(), visitor)) return make_error(Errc::corrupt, "genesis does not decode");
  return visitor.id;
}

}  // namespace marmot::codec
