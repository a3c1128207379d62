"""A column, then a table."""
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0003_alter_fields")]
    operations = [
        migrations.RenameField("person", "city", "town"),
        migrations.RenameModel("Note", "Letter"),
    ]
