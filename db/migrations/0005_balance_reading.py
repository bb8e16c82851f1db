from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("models", "0004_question")]

    initial = False

    operations = [
        ops.AlterModelOptions(
            name="BalanceReading",
            options={
                "table": "balance_reading",
                "app": "models",
                "pk_attr": "name",
                "table_description": "fal's balance at a moment.",
            },
        ),
        ops.RemoveField(model_name="BalanceReading", name="charged_nanos"),
        ops.RemoveField(model_name="BalanceReading", name="outside_nanos"),
    ]
