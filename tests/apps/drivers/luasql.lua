local path, tag, count = arg[1], arg[2], tonumber(arg[3])
local connection = assert(require("luasql.sqlite3").sqlite3():connect(path, 30000))
local function execute(sql) return assert(connection:execute(sql)) end
for number = 0, count - 1 do
  local name = tag .. " " .. number
  execute("BEGIN IMMEDIATE")
  execute("INSERT INTO parent(name) VALUES('" .. name .. "')")
  local parent = math.tointeger(connection:getlastautoid())
  execute("INSERT INTO child(parent, name) VALUES(" .. parent .. ", '" .. name .. "')")
  local child = math.tointeger(connection:getlastautoid())
  -- Of RETURNING luasql steps through a statement twice, and inserts twice.
  execute("INSERT INTO child(parent, name) VALUES(" .. parent .. ", '" .. name .. "')")
  local second = math.tointeger(connection:getlastautoid())
  execute("COMMIT")
  print(name, parent, child, second)
  os.execute("sleep 0.02")
end
