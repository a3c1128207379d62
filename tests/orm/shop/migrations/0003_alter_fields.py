"""NULL goes, a type changes."""
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_add_fields")]
    operations = [
        migrations.AlterField("person", "age", models.IntegerField(default=18)),
        migrations.AlterField("note", "body", models.CharField(max_length=200, default="empty")),
    ]
