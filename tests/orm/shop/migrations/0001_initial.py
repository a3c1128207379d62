"""Two tables with a foreign key, and a many-to-many table."""
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = []
    operations = [
        migrations.CreateModel("Person", [
            ("id", models.AutoField(primary_key=True)),
            ("name", models.CharField(max_length=30)),
            ("age", models.IntegerField(null=True)),
        ]),
        migrations.CreateModel("Tag", [
            ("id", models.AutoField(primary_key=True)),
            ("word", models.CharField(max_length=30, unique=True)),
        ]),
        migrations.CreateModel("Note", [
            ("id", models.AutoField(primary_key=True)),
            ("author", models.ForeignKey("shop.Person", models.CASCADE)),
            ("body", models.TextField(default="")),
            ("tags", models.ManyToManyField("shop.Tag")),
        ]),
    ]
