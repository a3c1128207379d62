// Of the extension as well, which makes Marmot's tables: nothing here may need the engine.
#include "common/replica/quarantine.hpp"

namespace marmot::replica {

Status shorten_quarantine(sqlite::Database& db) {
  TRY_ASSIGN(const int64_t there, db.query_integer("SELECT count(*) FROM pragma_table_info('__marmot_quarantine', 'main') WHERE name = 'hash'"));
  if (there != 0) return ok();
  return db.exec("ALTER TABLE main.__marmot_quarantine ADD COLUMN size INT NOT NULL DEFAULT 0;"
                 "ALTER TABLE main.__marmot_quarantine ADD COLUMN hash INT NOT NULL DEFAULT 0;"
                 "UPDATE main.__marmot_quarantine SET size = length(data), data = substr(data, 1, 1024)");
}

}  // namespace marmot::replica
