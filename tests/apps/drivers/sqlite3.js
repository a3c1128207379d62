const [path, tag, count] = process.argv.slice(2)
const sqlite3 = require("sqlite3")
const db = new sqlite3.Database(path)
db.configure("busyTimeout", 30000)
const run = (sql, ...values) => new Promise((resolve, reject) => db.run(sql, values, function (error) { error ? reject(error) : resolve(this.lastID) }))
const get = (sql, ...values) => new Promise((resolve, reject) => db.get(sql, values, (error, row) => { error ? reject(error) : resolve(row) }))
async function main() {
  for (let number = 0; number < Number(count); number++) {
    const name = `${tag} ${number}`
    await run("BEGIN IMMEDIATE")
    const parent = await run("INSERT INTO parent(name) VALUES(?)", name)
    const child = await run("INSERT INTO child(parent, name) VALUES(?, ?)", parent, name)
    const returned = (await get("INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id", parent, name)).id
    await run("COMMIT")
    console.log([name, parent, child, returned].join("\t"))
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
main().catch((error) => { console.error(error); process.exit(1) })
