from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields


class Migration(migrations.Migration):
    dependencies = [("models", "0002_added_model")]

    initial = False

    operations = [
        ops.AddField(
            model_name="Person",
            name="theme",
            field=fields.CharField(null=True, max_length=8),
        ),
    ]
