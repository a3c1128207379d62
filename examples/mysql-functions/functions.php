<?php
// php -d sqlite3.extension_dir=DIRECTORY functions.php
$db = new SQLite3(':memory:');
$db->loadExtension('libmarmot.so');
foreach ($db->querySingle("SELECT DATE_FORMAT('2026-11-21', '%W %D %M %Y'), SUBSTRING_INDEX('a.b.c', '.', 2), SHA2('x', 256)", true) as $value) {
    echo $value, "\n";
}
