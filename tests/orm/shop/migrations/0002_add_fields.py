"""Fields with defaults that only the migration knows: the table is rebuilt."""
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("person", "city", models.CharField(max_length=20, default="Paris")),
        migrations.AddField("person", "born", models.DateField(null=True)),
    ]
