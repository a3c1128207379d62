"""An index and a constraint."""
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0004_rename")]
    operations = [
        migrations.AddIndex("person", models.Index(fields=["name"], name="person_name")),
        migrations.AddConstraint("person", models.CheckConstraint(check=models.Q(age__gte=0), name="age_positive")),
    ]
