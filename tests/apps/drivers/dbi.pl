use strict;
use warnings;
use DBI;

my ($path, $tag, $count) = @ARGV;
my $db = DBI->connect("dbi:SQLite:dbname=$path", "", "", { RaiseError => 1, AutoCommit => 1, sqlite_use_immediate_transaction => 1 });
$db->sqlite_busy_timeout(30000);
for my $number (0 .. $count - 1) {
    my $name = "$tag $number";
    $db->begin_work;
    $db->do("INSERT INTO parent(name) VALUES(?)", undef, $name);
    my $parent = $db->last_insert_id("", "", "parent", "id");
    $db->do("INSERT INTO child(parent, name) VALUES(?, ?)", undef, $parent, $name);
    my $child = $db->sqlite_last_insert_rowid;
    my ($returned) = $db->selectrow_array("INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id", undef, $parent, $name);
    $db->commit;
    print join("\t", $name, $parent, $child, $returned), "\n";
    select(undef, undef, undef, 0.02);
}
