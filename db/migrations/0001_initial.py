from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from db.models import Access, CostSource, EntryKind, JobState
from json import dumps, loads
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="AdminAction",
            fields=[
                (
                    "id",
                    fields.BigIntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                ("admin_id", fields.BigIntField()),
                ("action", fields.CharField(max_length=32)),
                ("person_id", fields.BigIntField(null=True)),
                ("detail", fields.CharField(null=True, max_length=64)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "admin_action",
                "app": "models",
                "indexes": [Index(fields=["person_id", "created_at"])],
                "pk_attr": "id",
                "table_description": "Who did what to whom, and when.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="BalanceReading",
            fields=[
                (
                    "name",
                    fields.CharField(primary_key=True, unique=True, db_index=True, max_length=8),
                ),
                ("balance_nanos", fields.BigIntField()),
                ("charged_nanos", fields.BigIntField()),
                ("outside_nanos", fields.BigIntField()),
                ("read_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "balance_reading",
                "app": "models",
                "pk_attr": "name",
                "table_description": "fal's balance at a moment, with what had been charged and billed outside until then.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Occasion",
            fields=[
                (
                    "name",
                    fields.CharField(primary_key=True, unique=True, db_index=True, max_length=32),
                ),
                ("since", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "occasion",
                "app": "models",
                "pk_attr": "name",
                "table_description": "Something that is so at present and that the admins were told once: locked, low, …",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="OutsideBill",
            fields=[
                (
                    "request_id",
                    fields.CharField(primary_key=True, unique=True, db_index=True, max_length=96),
                ),
                ("endpoint", fields.CharField(max_length=192)),
                ("cost_nanos", fields.BigIntField()),
                ("billed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "outside_bill",
                "app": "models",
                "pk_attr": "request_id",
                "table_description": "What fal billed the account for a request that is none of the bot's.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Person",
            fields=[
                (
                    "id",
                    fields.BigIntField(
                        generated=False, primary_key=True, unique=True, db_index=True
                    ),
                ),
                ("name", fields.CharField(default="", max_length=256)),
                ("username", fields.CharField(null=True, db_index=True, max_length=64)),
                ("client_language", fields.CharField(null=True, max_length=16)),
                ("language", fields.CharField(null=True, max_length=8)),
                (
                    "access",
                    fields.CharEnumField(
                        default=Access.STRANGER,
                        db_index=True,
                        description="STRANGER: stranger\nPENDING: pending\nAPPROVED: approved\nDENIED: denied",
                        enum_type=Access,
                        max_length=16,
                    ),
                ),
                ("is_admin", fields.BooleanField(default=False)),
                ("asked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("decided_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("decided_by", fields.BigIntField(null=True)),
                ("seen_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("blocked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("budget_nanos", fields.BigIntField(null=True)),
                (
                    "budget_set_at",
                    fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
                ),
                ("followed_balance_nanos", fields.BigIntField(null=True)),
                ("budget_number", fields.IntField(default=0)),
                ("spent_nanos", fields.BigIntField(default=0)),
                ("held_nanos", fields.BigIntField(default=0)),
                ("total_spent_nanos", fields.BigIntField(default=0)),
                ("active_jobs", fields.IntField(default=0)),
                ("alerted_percent", fields.IntField(null=True)),
                ("version", fields.BigIntField(default=0)),
                ("image_model", fields.CharField(null=True, max_length=128)),
                ("video_model", fields.CharField(null=True, max_length=128)),
                ("aspect_ratio", fields.CharField(null=True, max_length=8)),
                ("alert_percents", fields.CharField(null=True, max_length=32)),
                ("confirm_above_nanos", fields.BigIntField(null=True)),
            ],
            options={
                "table": "person",
                "app": "models",
                "pk_attr": "id",
                "table_description": "A person on Telegram, their access, their budget and the counters of their ledger.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ContentJob",
            fields=[
                (
                    "id",
                    fields.BigIntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                (
                    "person",
                    fields.ForeignKeyField(
                        "models.Person",
                        source_field="person_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="jobs",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("origin", fields.CharField(unique=True, max_length=96)),
                ("chat_id", fields.BigIntField()),
                ("thread_id", fields.BigIntField(null=True)),
                ("command_message_id", fields.BigIntField(null=True)),
                ("status_message_id", fields.BigIntField(null=True)),
                ("kind", fields.CharField(max_length=8)),
                ("endpoint", fields.CharField(max_length=192)),
                ("prompt", fields.TextField(unique=False)),
                (
                    "arguments",
                    fields.JSONField(
                        encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("seed", fields.BigIntField(null=True)),
                ("source_file_id", fields.CharField(null=True, max_length=256)),
                ("source_width", fields.IntField(null=True)),
                ("source_height", fields.IntField(null=True)),
                ("source_argument", fields.CharField(null=True, max_length=64)),
                (
                    "state",
                    fields.CharEnumField(
                        default=JobState.HELD,
                        description="HELD: held\nSUBMITTING: submitting\nSUBMITTED: submitted\nFINISHED: finished\nDELIVERED: delivered\nUNKNOWN: unknown\nFAILED: failed\nCANCELLED: cancelled",
                        enum_type=JobState,
                        max_length=16,
                    ),
                ),
                ("request_id", fields.CharField(null=True, db_index=True, max_length=96)),
                ("status_url", fields.TextField(null=True, unique=False)),
                ("response_url", fields.TextField(null=True, unique=False)),
                ("cancel_url", fields.TextField(null=True, unique=False)),
                (
                    "result",
                    fields.JSONField(
                        null=True,
                        encoder=functools.partial(dumps, separators=(",", ":")),
                        decoder=loads,
                    ),
                ),
                ("file_id", fields.CharField(null=True, max_length=256)),
                ("error", fields.CharField(null=True, max_length=64)),
                (
                    "cancel_requested_at",
                    fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
                ),
                ("unit", fields.CharField(max_length=64)),
                ("unit_price_nanos", fields.BigIntField()),
                ("price_origin", fields.CharField(max_length=16)),
                ("quote_nanos", fields.BigIntField()),
                ("cost_nanos", fields.BigIntField(null=True)),
                (
                    "cost_source",
                    fields.CharEnumField(
                        null=True,
                        description="QUOTE: quote\nUNITS: units\nBILLED: billed",
                        enum_type=CostSource,
                        max_length=8,
                    ),
                ),
                ("is_held", fields.BooleanField(default=True)),
                ("entry_count", fields.IntField(default=1)),
                ("settled_budget_number", fields.IntField(null=True)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                (
                    "submitted_at",
                    fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
                ),
                (
                    "finished_at",
                    fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
                ),
                ("settled_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("billed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("bill_missing", fields.BooleanField(default=False)),
                (
                    "shown_at",
                    fields.DatetimeField(
                        null=True, db_index=True, auto_now=False, auto_now_add=False
                    ),
                ),
                ("lease_owner", fields.CharField(null=True, max_length=32)),
                (
                    "lease_until",
                    fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
                ),
            ],
            options={
                "table": "content_job",
                "app": "models",
                "indexes": [
                    Index(fields=["person_id", "created_at"]),
                    Index(fields=["billed_at", "settled_at"]),
                ],
                "pk_attr": "id",
                "table_description": "One request for one picture or video, from the command to the delivered result.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Draft",
            fields=[
                (
                    "id",
                    fields.BigIntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                (
                    "person",
                    fields.ForeignKeyField(
                        "models.Person",
                        source_field="person_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="drafts",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                (
                    "order",
                    fields.JSONField(
                        encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "created_at",
                    fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False),
                ),
            ],
            options={
                "table": "draft",
                "app": "models",
                "pk_attr": "id",
                "table_description": "Something a person may want made, once they press a button under it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LedgerEntry",
            fields=[
                (
                    "id",
                    fields.BigIntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                (
                    "person",
                    fields.ForeignKeyField(
                        "models.Person",
                        source_field="person_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="entries",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                (
                    "job",
                    fields.ForeignKeyField(
                        "models.ContentJob",
                        source_field="job_id",
                        null=True,
                        db_constraint=True,
                        to_field="id",
                        related_name="entries",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("number", fields.IntField(null=True)),
                (
                    "kind",
                    fields.CharEnumField(
                        description="BUDGET: budget\nHOLD: hold\nCHARGE: charge\nRELEASE: release\nADJUSTMENT: adjustment",
                        enum_type=EntryKind,
                        max_length=16,
                    ),
                ),
                ("amount_nanos", fields.BigIntField(null=True)),
                ("held_delta_nanos", fields.BigIntField(default=0)),
                ("spent_delta_nanos", fields.BigIntField(default=0)),
                ("total_delta_nanos", fields.BigIntField(default=0)),
                ("budget_number", fields.IntField()),
                ("actor_id", fields.BigIntField(null=True)),
                ("origin", fields.CharField(null=True, unique=True, max_length=96)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "ledger_entry",
                "app": "models",
                "unique_together": (("job", "number"),),
                "indexes": [Index(fields=["person_id", "created_at"])],
                "pk_attr": "id",
                "table_description": "One movement of money. Entries are only ever added.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LiveMessage",
            fields=[
                (
                    "chat_id",
                    fields.BigIntField(
                        generated=False, primary_key=True, unique=True, db_index=True
                    ),
                ),
                (
                    "person",
                    fields.ForeignKeyField(
                        "models.Person",
                        source_field="person_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="live_messages",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("message_id", fields.BigIntField()),
                ("shown_version", fields.BigIntField()),
            ],
            options={
                "table": "live_message",
                "app": "models",
                "pk_attr": "chat_id",
                "table_description": "The last `/budget` message of a chat, which follows the figures of its person.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    fields.BigIntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                (
                    "person",
                    fields.ForeignKeyField(
                        "models.Person",
                        source_field="person_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="notices",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("chat_id", fields.BigIntField()),
                ("kind", fields.CharField(max_length=32)),
                (
                    "content",
                    fields.JSONField(
                        encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("occasion", fields.CharField(null=True, unique=True, max_length=128)),
                ("attempts", fields.IntField(default=0)),
                ("due_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("closed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("message_id", fields.BigIntField(null=True)),
            ],
            options={
                "table": "notice",
                "app": "models",
                "indexes": [Index(fields=["closed_at", "due_at"])],
                "pk_attr": "id",
                "table_description": "A message that the bot owes a person, kept until it is delivered or given up.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Price",
            fields=[
                (
                    "endpoint",
                    fields.CharField(primary_key=True, unique=True, db_index=True, max_length=192),
                ),
                ("unit", fields.CharField(max_length=64)),
                ("unit_price_nanos", fields.BigIntField()),
                ("fetched_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "price",
                "app": "models",
                "pk_attr": "endpoint",
                "table_description": "The last price that fal's pricing API gave for an endpoint.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SeenUpdate",
            fields=[
                (
                    "id",
                    fields.BigIntField(
                        generated=False, primary_key=True, unique=True, db_index=True
                    ),
                ),
                ("body", fields.TextField(null=True, unique=False)),
                (
                    "seen_at",
                    fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False),
                ),
            ],
            options={
                "table": "seen_update",
                "app": "models",
                "pk_attr": "id",
                "table_description": "An update of Telegram: acted on, or (with a `body`, its JSON) taken and still to do.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Turn",
            fields=[
                (
                    "name",
                    fields.CharField(primary_key=True, unique=True, db_index=True, max_length=32),
                ),
                ("due_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "turn",
                "app": "models",
                "pk_attr": "name",
                "table_description": "When a schedule is due again.",
            },
            bases=["Model"],
        ),
    ]
