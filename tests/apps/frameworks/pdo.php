<?php
function work($db) {
    $db->query('SELECT count(*) FROM note')->fetchAll();
    echo "open\n";
    fgets(STDIN);
    $db->exec("INSERT INTO note(body) VALUES('framework')");
}
$db = new PDO('sqlite:app.db');
echo 'version ', PHP_VERSION, "\n";
echo 'busy ', $db->query('PRAGMA busy_timeout')->fetchColumn(), "\n";
try {
    // SNIPPET
    echo "done\n";
} catch (PDOException $error) {
    echo 'error ', $error->getMessage(), "\n";
}
