"""Rows change in a migration."""
from django.db import migrations, models


def shout(apps, schema_editor):
    person = apps.get_model("shop", "Person")
    for one in person.objects.filter(name__startswith="Ann"):
        one.town = one.town.upper()
        one.save()


class Migration(migrations.Migration):
    dependencies = [("shop", "0005_indexes")]
    operations = [
        migrations.RunPython(shout, migrations.RunPython.noop),
    ]
