<?php
[, $path, $tag, $count] = $argv;
$db = new PDO("sqlite:$path", null, null, [PDO::ATTR_TIMEOUT => 30, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$parents = $db->prepare('INSERT INTO parent(name) VALUES(?)');
$children = $db->prepare('INSERT INTO child(parent, name) VALUES(?, ?)');
$returning = $db->prepare('INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id');
for ($number = 0; $number < $count; $number++) {
    $name = "$tag $number";
    $db->exec('BEGIN IMMEDIATE');
    $parents->execute([$name]);
    $parent = $db->lastInsertId();
    $children->execute([$parent, $name]);
    $child = $db->lastInsertId();
    $returning->execute([$parent, $name]);
    $returned = $returning->fetchColumn();
    $returning->closeCursor();
    $db->exec('COMMIT');
    echo "$name\t$parent\t$child\t$returned\n";
    usleep(20000);
}
