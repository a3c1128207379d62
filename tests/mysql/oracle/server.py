"""A real server of one's own: Debian's mariadbd on a private data directory and socket, with the time zone tables loaded."""
import os
import shutil
import subprocess
import tempfile
import time

MARIADBD = "/usr/sbin/mariadbd"
# MySQL 8.0's own default mode; backslashes are plain characters in SQLite's literals, so they are here.
SQL_MODE = "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_BACKSLASH_ESCAPES,TIME_ROUND_FRACTIONAL"
TIMESTAMP = 1700000000.123456  # what NOW() tells: 2023-11-14 22:13:20.123456 UTC


class Server:
    """`with Server() as server: server.connect()`. Ended by its own pid, its directory removed."""

    def __enter__(self):
        if not os.path.exists(MARIADBD):
            raise SystemExit(f"{MARIADBD} is not there: apt-get install mariadb-server python3-pymysql")
        self.directory = tempfile.mkdtemp(prefix="marmot-oracle-")
        data, self.socket = os.path.join(self.directory, "data"), os.path.join(self.directory, "socket")
        subprocess.run(["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db",
                        "--auth-root-authentication-method=normal"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen([MARIADBD, "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={self.socket}",
                                         "--skip-networking", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.load_time_zones()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def load_time_zones(self):
        deadline = time.monotonic() + 30
        while not os.path.exists(self.socket):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"mariadbd did not start in {self.directory}")
            time.sleep(0.05)
        zones = subprocess.run(["mariadb-tzinfo-to-sql", "/usr/share/zoneinfo"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        subprocess.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "-uroot", "mysql"], input=zones.stdout, check=True)

    def connect(self):
        import pymysql  # python3-pymysql: only who asks a live server needs it
        # conv: every value as the server printed it.
        connection = pymysql.connect(unix_socket=self.socket, user="root", charset="utf8mb4", conv={}, use_unicode=False)
        with connection.cursor() as cursor:
            cursor.execute(f"SET sql_mode = '{SQL_MODE}', time_zone = '+00:00', timestamp = {TIMESTAMP}, max_statement_time = 10")
        return connection
