#!/usr/bin/env -S /usr/bin/python3 -B
"""django_migrate.py DATABASE MIGRATION: `manage.py migrate shop MIGRATION` on that file."""
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

sys.path.insert(0, str(Path(__file__).resolve().parent))
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1], "OPTIONS": {"timeout": 20}}},
    INSTALLED_APPS=["shop"], DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=False)
django.setup()
call_command("migrate", "shop", sys.argv[2], verbosity=0)
