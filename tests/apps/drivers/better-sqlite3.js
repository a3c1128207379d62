const [path, tag, count] = process.argv.slice(2)
const db = new (require("better-sqlite3"))(path, { timeout: 30000 })
const parents = db.prepare("INSERT INTO parent(name) VALUES(?)")
const children = db.prepare("INSERT INTO child(parent, name) VALUES(?, ?)")
const returning = db.prepare("INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id")
const family = db.transaction((name) => {
  const parent = parents.run(name).lastInsertRowid
  const child = children.run(parent, name).lastInsertRowid
  return [name, parent, child, returning.get(parent, name).id]
})
for (let number = 0; number < Number(count); number++) {
  console.log(family.immediate(`${tag} ${number}`).join("\t"))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
}
