import sys
import django
from django.conf import settings
from django.db import connection, transaction

sys.path.insert(0, ".")
# SNIPPET
settings.configure(DATABASES=DATABASES)  # noqa: F821
django.setup()
print("version", django.get_version())
with connection.cursor() as cursor:
    print("busy", cursor.execute("PRAGMA busy_timeout").fetchone()[0])
try:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM note").fetchone()
        print("open", flush=True)
        sys.stdin.readline()
        cursor.execute("INSERT INTO note(body) VALUES('framework')")
    print("done")
except django.db.utils.OperationalError as error:
    print("error", error)
