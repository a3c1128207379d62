"""A table goes."""
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0007_remove")]
    operations = [
        migrations.DeleteModel("Shelf"),
    ]
