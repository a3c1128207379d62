#!/usr/bin/python3
"""The extension in other releases of SQLite than Debian's: the same checks in each.

usage: run.py LIBMARMOT_DIRECTORY WORK_DIRECTORY [VERSION...]

SQLite's amalgamations come out of npm's better-sqlite3 tarballs, are compiled into WORK_DIRECTORY once, and take the place of
libsqlite3.so.0 in Debian's Python. VERSION: 3.35 3.40 3.43 3.53 (3.40 is the system's own).
"""
import glob
import os
import subprocess
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = {"3.35": "7.4.0", "3.40": None, "3.43": "8.7.0", "3.53": "12.11.1"}
# What Debian's build has switched on and the checks or Python's module need.
OPTIONS = ["-DSQLITE_THREADSAFE=1", "-DSQLITE_ENABLE_COLUMN_METADATA", "-DSQLITE_ENABLE_FTS5", "-DSQLITE_ENABLE_RTREE", "-DSQLITE_ENABLE_JSON1",
           "-DSQLITE_ENABLE_MATH_FUNCTIONS", "-DSQLITE_ENABLE_UNLOCK_NOTIFY", "-DSQLITE_ENABLE_DBSTAT_VTAB", "-DSQLITE_ENABLE_DESERIALIZE", "-DHAVE_ISNAN"]


def amalgamation(package, target):
    subprocess.run(["npm", "pack", "--silent", f"better-sqlite3@{package}"], cwd=target, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(glob.glob(os.path.join(target, "better-sqlite3-*.tgz"))[0]) as outer:
        outer.extractall(target)
    packed = os.path.join(target, "package", "deps", "sqlite3.tar.gz")
    if os.path.exists(packed):
        with tarfile.open(packed) as inner:
            inner.extractall(os.path.join(target, "package", "deps", "sqlite3"))
    return glob.glob(os.path.join(target, "package", "deps", "sqlite3", "**", "sqlite3.c"), recursive=True)[0]


def library_directory(version, work):
    """Where this version's libsqlite3.so.0 is; None: the system's."""
    package = PACKAGES[version]
    if package is None:
        return None
    target = os.path.join(work, version)
    built = os.path.join(target, "lib", "libsqlite3.so.0")
    if not os.path.exists(built):
        os.makedirs(os.path.dirname(built), exist_ok=True)
        source = amalgamation(package, target)
        subprocess.run([os.environ.get("CC", "gcc"), "-O1", "-fPIC", "-shared", "-w", *OPTIONS, "-Wl,-soname,libsqlite3.so.0", source, "-o", built + ".new", "-lm", "-ldl", "-lpthread"],
                       check=True)
        os.rename(built + ".new", built)
    return os.path.dirname(built)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    libraries, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    passed, failed = 0, []
    for version in sys.argv[3:] or PACKAGES:
        directory = library_directory(version, work)
        environment = dict(os.environ, **({"LD_LIBRARY_PATH": directory} if directory else {}))
        for check in ([os.path.join(HERE, "checks.py"), libraries, version], [os.path.join(HERE, "..", "oracle", "run.py"), os.path.join(libraries, "libmarmotmysql.so")]):
            done = subprocess.run(["/usr/bin/python3", *check], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
            name = f"{os.path.basename(os.path.dirname(check[0]))}/{os.path.basename(check[0])} in SQLite {version}"
            print(("passed  " if done.returncode == 0 else "failed  ") + name, done.stdout.splitlines()[-1:], flush=True)
            if done.returncode == 0:
                passed += 1
            else:
                failed.append(name)
                print(done.stdout)
    print(f"{passed} passed, {len(failed)} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
