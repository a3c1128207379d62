import sys
import sqlalchemy
from sqlalchemy import text

# SNIPPET
print("version", sqlalchemy.__version__)
with engine.connect() as connection:  # noqa: F821
    print("busy", connection.execute(text("PRAGMA busy_timeout")).scalar())
try:
    with engine.begin() as connection:  # noqa: F821
        connection.execute(text("SELECT count(*) FROM note")).scalar()
        print("open", flush=True)
        sys.stdin.readline()
        connection.execute(text("INSERT INTO note(body) VALUES('framework')"))
    print("done")
except sqlalchemy.exc.OperationalError as error:
    print("error", error.orig)
