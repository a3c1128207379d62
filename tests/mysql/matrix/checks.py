#!/usr/bin/python3
"""What loading does to a connection, and does not: run by run.py in each release of SQLite.

usage: checks.py LIBMARMOT_DIRECTORY VERSION
"""
import os
import sqlite3
import sys
import tempfile
import unittest

LIBRARIES, VERSION = os.path.abspath(sys.argv[1]), sys.argv[2]


def connect(*libraries, path=":memory:"):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.enable_load_extension(True)
    for library in libraries:
        connection.load_extension(os.path.join(LIBRARIES, library))
    return connection


def functions(connection):
    return {(row[0].lower(), row[1]) for row in connection.execute("SELECT name, narg FROM pragma_function_list")}


def one(connection, sql):
    return connection.execute(sql).fetchone()[0]


class Loading(unittest.TestCase):
    def test_it_is_this_sqlite(self):
        self.assertTrue(sqlite3.sqlite_version.startswith(VERSION + "."), sqlite3.sqlite_version)

    def test_no_builtin_changes(self):
        before, plain = functions(connect()), connect()
        names = {name for name, _ in before}
        connection = connect("libmarmot")
        self.assertEqual({f for f in functions(connection) if f[0] in names}, before)
        # ... in what they answer either, where MySQL's would be another answer.
        for sql in ["lower('ÀB')", "length(x'c3a9')", "round(2.5)", "hex(10)", "'a' LIKE 'A'", "substr('abc', 0, 2)", "instr('abc', 'C')", "trim(' x ')",
                    "date('2020-01-31', '+1 month')", "time('12:00')", "char(97, 98)", "replace('aXa', 'x', 'b')", "sum(1.0)", "avg(1)", "typeof(abs(-1))",
                    "quote('it''s')", "ifnull(NULL, 1)", "nullif(1, 1)", "coalesce(NULL, 2)", "json_extract('{\"a\": [1, 2]}', '$.a')", "json_array(1, 'x')", "group_concat(1)"]:
            self.assertEqual(one(connection, "SELECT " + sql), one(plain, "SELECT " + sql), sql)

    def test_every_name_is_there_with_its_prefix(self):
        names = {name for name, _ in functions(connect("libmarmot"))}
        for name in ["lower", "concat_ws", "md5", "round", "sum", "left", "if", "abs"]:
            self.assertIn("mysql_" + name, names)
        self.assertFalse({name for name in names if name.startswith("mysql_marmot_")})

    def test_the_other_entry_point_means_mysql(self):
        connection = connect("libmarmotmysql")
        self.assertEqual(one(connection, "SELECT round(2.5)"), 3)
        self.assertEqual(one(connection, "SELECT typeof(round(2.5))"), "integer")
        self.assertEqual(one(connect("libmarmot"), "SELECT typeof(round(2.5))"), "real")

    def test_loading_again_does_nothing(self):
        for first, second in [("libmarmot", "libmarmot"), ("libmarmotmysql", "libmarmotmysql"), ("libmarmotmysql", "libmarmot"), ("libmarmot", "libmarmotmysql")]:
            connection = connect(first, second)
            there = functions(connection)
            path = os.path.join(LIBRARIES, second)
            self.assertEqual(connection.execute("SELECT load_extension(?), md5('x')", (path,)).fetchone()[1], "9dd4e461268c8034f5c8564e155c67a6")
            self.assertEqual(functions(connection), there)

    def test_deterministic_functions_index(self):
        connection = connect("libmarmot")
        connection.execute("CREATE TABLE t(a, b AS (mysql_md5(a)) STORED)")
        connection.execute("CREATE INDEX i ON t(mysql_round(a, 2))")
        connection.execute("INSERT INTO t(a) VALUES(1.005)")
        self.assertEqual(one(connection, "SELECT count(*) FROM t INDEXED BY i WHERE mysql_round(a, 2) = 1.01"), 1)
        for unfit in ["mysql_rand()", "mysql_version()", "mysql_uuid()", "mysql_connection_id()"]:
            with self.assertRaises(sqlite3.OperationalError, msg=unfit):
                connection.execute(f"CREATE INDEX j ON t({unfit})")

    def test_what_has_effects_runs_only_where_the_application_says_so(self):
        connection = connect("libmarmot")
        connection.execute("CREATE VIEW v AS SELECT mysql_get_lock('x', 0) AS l")
        connection.execute("CREATE VIEW w AS SELECT mysql_md5('x') AS m")
        connection.execute("PRAGMA trusted_schema = OFF")
        with self.assertRaises(sqlite3.OperationalError):
            connection.execute("SELECT l FROM v").fetchone()
        self.assertEqual(one(connection, "SELECT m FROM w"), "9dd4e461268c8034f5c8564e155c67a6")

    def test_a_file_stays_openable_by_stock_tools(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "a.db")
            connection = connect("libmarmotmysql", path=path)
            connection.execute("CREATE TABLE t(a TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP)")
            connection.execute("INSERT INTO t(a) VALUES(upper('x'))")
            connection.close()
            self.assertEqual(sqlite3.connect(path).execute("SELECT a FROM t").fetchone(), ("X",))


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    unittest.main(verbosity=1)
