from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from json import dumps, loads
from tortoise import fields


class Migration(migrations.Migration):
    dependencies = [("models", "0001_initial")]

    initial = False

    operations = [
        ops.CreateModel(
            name="AddedModel",
            fields=[
                (
                    "id",
                    fields.BigIntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                ("endpoint", fields.CharField(unique=True, max_length=192)),
                ("key", fields.CharField(max_length=32)),
                ("name", fields.CharField(max_length=64)),
                ("takes_image", fields.BooleanField()),
                (
                    "definition",
                    fields.JSONField(
                        encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("added_by", fields.BigIntField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "added_model",
                "app": "models",
                "unique_together": (("key", "takes_image"),),
                "pk_attr": "id",
                "table_description": "An endpoint of fal that an admin put on offer beside the catalog.",
            },
            bases=["Model"],
        ),
    ]
