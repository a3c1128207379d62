import Database from 'better-sqlite3';

const db = new Database(':memory:');
db.loadExtension(process.env.LIBMARMOT ?? 'libmarmot.so');
const row = db.prepare("SELECT DATE_FORMAT('2026-11-21', '%W %D %M %Y'), SUBSTRING_INDEX('a.b.c', '.', 2), SHA2('x', 256)").raw().get();
for (const value of row) console.log(value);
