require "active_record"
require "sqlite3"
require "yaml"
# SNIPPET
ActiveRecord::Base.establish_connection(YAML.load(File.read("database.yml"))["production"])
connection = ActiveRecord::Base.connection
$stdout.sync = true
puts "version #{ActiveRecord.version}"
puts "busy #{connection.select_value("PRAGMA busy_timeout")}"
class Note < ActiveRecord::Base
  self.table_name = "note"
end
begin
  Note.transaction do
    Note.count
    puts "open"
    $stdin.gets
    Note.create!(body: "framework")
  end
  puts "done"
rescue ActiveRecord::StatementInvalid => error
  puts "error #{error.message}"
end
