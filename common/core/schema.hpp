// The schema as last-writer-wins registers (docs/schema-changes.md). What the tables look like is a function of the
// registers, whatever order they came in.
#pragma once

#include <cstdint>
#include <string>

#include "common/core/version.hpp"

namespace marmot {

enum class SchemaKind : uint8_t {
  table = 1,   // name, and what follows the columns in CREATE TABLE: constraints and options
  column = 2,  // of a table: name, definition, place
  text = 3,    // of a table: its whole CREATE TABLE, used verbatim where it says just what the other registers say
  object = 4,  // an index, view, trigger or virtual table: its SQL
  number = 5,  // PRAGMA user_version or application_id, of one node: replica/numbers.hpp
  adopted = 6, // of a table: its INTEGER PRIMARY KEY is AUTOINCREMENT on every node, whatever its columns say; dropped: not any more
};

struct SchemaRegister {
  SchemaKind kind = SchemaKind::object;
  Version table;         // the table's permanent id: the version that created it; zero for an object and a number
  // column: its id (replica/column_id.hpp); object: "index name", folded; number: "user_version node". table: the name that it was created with,
  // folded, and '#2' where its maker knew of another of that name; tables with equal ones are one table. Empty: nobody has been
  // told of it yet. text: empty
  std::string id;
  Version version;       // zero: it stood here before this file met a stream, and gives way to whatever the stream says
  bool dropped = false;
  std::string name;      // of the table, the column, the object or the number
  std::string body;
  int64_t position = 0;  // of a column: columns stand in order of (position, id); of a number: its value, as 32 bits
  bool operator==(const SchemaRegister&) const = default;
};

}  // namespace marmot
