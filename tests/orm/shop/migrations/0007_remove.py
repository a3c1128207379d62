"""A field goes, and a table comes."""
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0006_data")]
    operations = [
        migrations.RemoveField("person", "born"),
        migrations.CreateModel("Shelf", [
            ("code", models.CharField(max_length=8, primary_key=True)),
            ("owner", models.ForeignKey("shop.Person", models.SET_NULL, null=True)),
        ]),
    ]
