require "sqlite3"

path, tag, count = ARGV
db = SQLite3::Database.new(path)
db.busy_timeout = 30_000
count.to_i.times do |number|
  name = "#{tag} #{number}"
  parent = child = returned = nil
  db.transaction(:immediate) do
    db.execute("INSERT INTO parent(name) VALUES(?)", [name])
    parent = db.last_insert_row_id
    db.execute("INSERT INTO child(parent, name) VALUES(?, ?)", [parent, name])
    child = db.last_insert_row_id
    returned = db.get_first_value("INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id", [parent, name])
  end
  puts [name, parent, child, returned].join("\t")
  sleep 0.02
end
