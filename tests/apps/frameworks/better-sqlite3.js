const fs = require("fs")
const work = () => {
  db.prepare("SELECT count(*) FROM note").get()
  console.log("open")
  fs.readSync(0, Buffer.alloc(100))
  db.prepare("INSERT INTO note(body) VALUES('framework')").run()
}
const Database = require("better-sqlite3")
const db = new Database("app.db")
console.log("version", require("better-sqlite3/package.json").version)
console.log("busy", db.pragma("busy_timeout", { simple: true }))
try {
  // SNIPPET
  console.log("done")
} catch (error) {
  console.log("error", error.message)
}
