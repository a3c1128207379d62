<?php
[, $path, $tag, $count] = $argv;
$db = new SQLite3($path);
$db->enableExceptions(true);
$db->busyTimeout(30000);
for ($number = 0; $number < $count; $number++) {
    $name = "$tag $number";
    $db->exec('BEGIN IMMEDIATE');
    $db->exec("INSERT INTO parent(name) VALUES('$name')");
    $parent = $db->lastInsertRowID();
    $db->exec("INSERT INTO child(parent, name) VALUES($parent, '$name')");
    $child = $db->lastInsertRowID();
    $returned = $db->querySingle("INSERT INTO child(parent, name) VALUES($parent, '$name') RETURNING id");
    $db->exec('COMMIT');
    echo "$name\t$parent\t$child\t$returned\n";
    usleep(20000);
}
