const fs = require("fs")
const { Sequelize } = require("sequelize")
// SNIPPET
async function main() {
  console.log("version", require("sequelize/package.json").version)
  try {
    await sequelize.transaction(async (transaction) => {
      const one = async (sql) => (await sequelize.query(sql, { transaction }))[0][0]
      console.log("busy", Object.values(await one("PRAGMA busy_timeout"))[0])
      await one("SELECT count(*) FROM note")
      console.log("open")
      fs.readSync(0, Buffer.alloc(100))
      await sequelize.query("INSERT INTO note(body) VALUES('framework')", { transaction })
    })
    console.log("done")
  } catch (error) {
    console.log("error", error.message)
  }
}
main()
