<?php
function work($db) {
    $db->querySingle('SELECT count(*) FROM note');
    echo "open\n";
    fgets(STDIN);
    $db->exec("INSERT INTO note(body) VALUES('framework')");
}
$db = new SQLite3('app.db');
$db->enableExceptions(true);
echo 'version ', PHP_VERSION, "\n";
try {
    // SNIPPET
    echo 'busy ', $db->querySingle('PRAGMA busy_timeout'), "\n";
    echo "done\n";
} catch (Exception $error) {
    echo 'busy ', $db->querySingle('PRAGMA busy_timeout'), "\n";
    echo 'error ', $error->getMessage(), "\n";
}
