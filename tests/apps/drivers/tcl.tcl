package require sqlite3
lassign $argv path tag count
sqlite3 db $path
db timeout 30000
for {set number 0} {$number < $count} {incr number} {
    set name "$tag $number"
    db transaction immediate {
        db eval {INSERT INTO parent(name) VALUES($name)}
        set parent [db last_insert_rowid]
        db eval {INSERT INTO child(parent, name) VALUES($parent, $name)}
        set child [db last_insert_rowid]
        set returned [db eval {INSERT INTO child(parent, name) VALUES($parent, $name) RETURNING id}]
    }
    puts [join [list $name $parent $child $returned] "\t"]
    after 20
}
