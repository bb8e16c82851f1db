"""What is stored: people, jobs, ledger entries, notices, prices and a few small things.

Amounts are integers in nano-US-dollars in 64-bit columns named `*_nanos`. Moments are stored
in UTC. Telegram's ids need 64 bits (Bot API, `User.id`).
Counters on `Person` change only in `db.ledger`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model


class Access(StrEnum):
    """Whether a person may use the bot."""

    STRANGER = "stranger"
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


class JobState(StrEnum):
    """Where a job stands; the order of the first five is the way of a job that goes well."""

    HELD = "held"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    FINISHED = "finished"
    DELIVERED = "delivered"
    UNKNOWN = "unknown"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CostSource(StrEnum):
    """What the cost of a job was taken from."""

    QUOTE = "quote"
    UNITS = "units"
    BILLED = "billed"


class EntryKind(StrEnum):
    """The kinds of ledger entries."""

    BUDGET = "budget"
    HOLD = "hold"
    CHARGE = "charge"
    RELEASE = "release"
    ADJUSTMENT = "adjustment"


class Person(Model):
    """A person on Telegram, their access, their budget and the counters of their ledger.

    `budget_number` counts how often a budget was set; a charge belongs to the budget that was
    in force when its job was settled. `version` grows with every change of the figures.
    `alerted_percent` is the lowest threshold announced that still holds.
    `alert_percents` are the person's own thresholds, "50,25"; empty is silence, null the team's.
    `theme` is `dark` for who wants pictures on a dark ground: Telegram does not tell.
    `followed_balance_nanos` is the last reading of fal's balance that the budget follows
    (`/setbudget auto`), null when it follows none.
    """

    id = fields.BigIntField(primary_key=True, generated=False)
    name = fields.CharField(max_length=256, default="")
    username = fields.CharField(max_length=64, null=True, db_index=True)
    client_language = fields.CharField(max_length=16, null=True)
    language = fields.CharField(max_length=8, null=True)
    access = fields.CharEnumField(Access, max_length=16, default=Access.STRANGER, db_index=True)
    is_admin = fields.BooleanField(default=False)
    asked_at = fields.DatetimeField(null=True)
    decided_at = fields.DatetimeField(null=True)
    decided_by = fields.BigIntField(null=True)
    seen_at = fields.DatetimeField(null=True)
    blocked_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    budget_nanos = fields.BigIntField(null=True)
    budget_set_at = fields.DatetimeField(null=True)
    followed_balance_nanos = fields.BigIntField(null=True)
    budget_number = fields.IntField(default=0)
    spent_nanos = fields.BigIntField(default=0)
    held_nanos = fields.BigIntField(default=0)
    total_spent_nanos = fields.BigIntField(default=0)
    active_jobs = fields.IntField(default=0)
    alerted_percent = fields.IntField(null=True)
    version = fields.BigIntField(default=0)

    image_model = fields.CharField(max_length=128, null=True)
    video_model = fields.CharField(max_length=128, null=True)
    aspect_ratio = fields.CharField(max_length=8, null=True)
    alert_percents = fields.CharField(max_length=32, null=True)
    confirm_above_nanos = fields.BigIntField(null=True)
    theme = fields.CharField(max_length=8, null=True)

    class Meta:
        table = "person"


class ContentJob(Model):
    """One request for one picture or video, from the command to the delivered result.

    `origin` names the command or button that asked for it; it is unique, so that the same
    update never makes two jobs. `shown_at` is set once the outcome stands in the chat: a job
    without it is taken up again at every start.
    """

    id = fields.BigIntField(primary_key=True)
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="jobs", on_delete=fields.RESTRICT
    )
    origin = fields.CharField(max_length=96, unique=True)
    chat_id = fields.BigIntField()
    thread_id = fields.BigIntField(null=True)
    command_message_id = fields.BigIntField(null=True)
    status_message_id = fields.BigIntField(null=True)

    kind = fields.CharField(max_length=8)
    endpoint = fields.CharField(max_length=192)
    prompt = fields.TextField()
    arguments: fields.JSONField[dict[str, object]] = fields.JSONField()
    seed = fields.BigIntField(null=True)
    source_file_id = fields.CharField(max_length=256, null=True)
    source_width = fields.IntField(null=True)
    source_height = fields.IntField(null=True)
    source_argument = fields.CharField(max_length=64, null=True)

    state = fields.CharEnumField(JobState, max_length=16, default=JobState.HELD)
    request_id = fields.CharField(max_length=96, null=True, db_index=True)
    status_url = fields.TextField(null=True)
    response_url = fields.TextField(null=True)
    cancel_url = fields.TextField(null=True)
    result: fields.JSONField[dict[str, object] | None] = fields.JSONField(null=True)
    file_id = fields.CharField(max_length=256, null=True)
    error = fields.CharField(max_length=64, null=True)
    cancel_requested_at = fields.DatetimeField(null=True)

    unit = fields.CharField(max_length=64)
    unit_price_nanos = fields.BigIntField()
    price_origin = fields.CharField(max_length=16)
    quote_nanos = fields.BigIntField()
    cost_nanos = fields.BigIntField(null=True)
    cost_source = fields.CharEnumField(CostSource, max_length=8, null=True)
    is_held = fields.BooleanField(default=True)
    entry_count = fields.IntField(default=1)
    settled_budget_number = fields.IntField(null=True)

    created_at = fields.DatetimeField()
    submitted_at = fields.DatetimeField(null=True)
    finished_at = fields.DatetimeField(null=True)
    settled_at = fields.DatetimeField(null=True)
    billed_at = fields.DatetimeField(null=True)
    bill_missing = fields.BooleanField(default=False)
    shown_at = fields.DatetimeField(null=True, db_index=True)
    lease_owner = fields.CharField(max_length=32, null=True)
    lease_until = fields.DatetimeField(null=True)

    if TYPE_CHECKING:
        person_id: int

    class Meta:
        table = "content_job"
        indexes = (
            Index(fields=("person_id", "created_at")),
            Index(fields=("billed_at", "settled_at")),
        )


class Draft(Model):
    """Something a person may want made, once they press a button under it."""

    id = fields.BigIntField(primary_key=True)
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="drafts", on_delete=fields.CASCADE
    )
    order: fields.JSONField[dict[str, object]] = fields.JSONField()
    created_at = fields.DatetimeField(db_index=True)

    if TYPE_CHECKING:
        person_id: int

    class Meta:
        table = "draft"


class Question(Model):
    """A message in which the bot asked for an amount, which the reply to it says.

    `about_id` is whose budget it is.
    """

    id = fields.BigIntField(primary_key=True)
    chat_id = fields.BigIntField()
    message_id = fields.BigIntField()
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="questions", on_delete=fields.CASCADE
    )
    about_id = fields.BigIntField()
    created_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "question"
        unique_together = (("chat_id", "message_id"),)


class LedgerEntry(Model):
    """One movement of money. Entries are only ever added.

    The deltas say by how much the person's counters moved; `amount_nanos` is the amount the
    movement is about (the budget set, the hold, the charge, …), null for "no budget".
    `(job, number)` is unique: 1 is the hold, 2 its end, the rest are adjustments.
    """

    id = fields.BigIntField(primary_key=True)
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="entries", on_delete=fields.RESTRICT
    )
    job: fields.ForeignKeyNullableRelation[ContentJob] = fields.ForeignKeyField(
        "models.ContentJob", related_name="entries", on_delete=fields.RESTRICT, null=True
    )
    number = fields.IntField(null=True)
    kind = fields.CharEnumField(EntryKind, max_length=16)
    amount_nanos = fields.BigIntField(null=True)
    held_delta_nanos = fields.BigIntField(default=0)
    spent_delta_nanos = fields.BigIntField(default=0)
    total_delta_nanos = fields.BigIntField(default=0)
    budget_number = fields.IntField()
    actor_id = fields.BigIntField(null=True)
    origin = fields.CharField(max_length=96, null=True, unique=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "ledger_entry"
        unique_together = (("job", "number"),)
        indexes = (Index(fields=("person_id", "created_at")),)


class Notice(Model):
    """A message that the bot owes a person, kept until it is delivered or given up.

    `occasion` is unique where it is set: the same occasion makes one notice. A closed notice
    (`closed_at`) is delivered, or was given up because the person blocked the bot.
    """

    id = fields.BigIntField(primary_key=True)
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="notices", on_delete=fields.RESTRICT
    )
    chat_id = fields.BigIntField()
    kind = fields.CharField(max_length=32)
    content: fields.JSONField[dict[str, object]] = fields.JSONField()
    occasion = fields.CharField(max_length=128, null=True, unique=True)
    attempts = fields.IntField(default=0)
    due_at = fields.DatetimeField()
    created_at = fields.DatetimeField()
    closed_at = fields.DatetimeField(null=True)
    message_id = fields.BigIntField(null=True)

    if TYPE_CHECKING:
        person_id: int

    class Meta:
        table = "notice"
        indexes = (Index(fields=("closed_at", "due_at")),)


class Price(Model):
    """The last price that fal's pricing API gave for an endpoint."""

    endpoint = fields.CharField(max_length=192, primary_key=True)
    unit = fields.CharField(max_length=64)
    unit_price_nanos = fields.BigIntField()
    fetched_at = fields.DatetimeField()

    class Meta:
        table = "price"


class AddedModel(Model):
    """An endpoint of fal that an admin put on offer beside the catalog.

    `definition` is what the catalog says of an endpoint (`bot.catalog.Endpoint`). Two endpoints of
    one `key` are one model: one from text, one from a picture.
    """

    id = fields.BigIntField(primary_key=True)
    endpoint = fields.CharField(max_length=192, unique=True)
    key = fields.CharField(max_length=32)
    name = fields.CharField(max_length=64)
    takes_image = fields.BooleanField()
    definition: fields.JSONField[dict[str, object]] = fields.JSONField()
    added_by = fields.BigIntField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "added_model"
        unique_together = (("key", "takes_image"),)


class LiveMessage(Model):
    """The last `/budget` message of a chat, which follows the figures of its person."""

    chat_id = fields.BigIntField(primary_key=True, generated=False)
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="live_messages", on_delete=fields.CASCADE
    )
    message_id = fields.BigIntField()
    shown_version = fields.BigIntField()

    if TYPE_CHECKING:
        person_id: int

    class Meta:
        table = "live_message"


class SeenUpdate(Model):
    """An update of Telegram: acted on, or (with a `body`, its JSON) taken and still to do."""

    id = fields.BigIntField(primary_key=True, generated=False)
    body = fields.TextField(null=True)
    seen_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "seen_update"


class OutsideBill(Model):
    """What fal billed the account for a request that is none of the bot's."""

    request_id = fields.CharField(max_length=96, primary_key=True)
    endpoint = fields.CharField(max_length=192)
    cost_nanos = fields.BigIntField()
    billed_at = fields.DatetimeField()

    class Meta:
        table = "outside_bill"


class BalanceReading(Model):
    """fal's balance at a moment.

    Only two are kept: `now`, the last reading, and `then`, the first since the last top-up.
    """

    name = fields.CharField(max_length=8, primary_key=True)
    balance_nanos = fields.BigIntField()
    read_at = fields.DatetimeField()

    class Meta:
        table = "balance_reading"


class Occasion(Model):
    """Something that is so at present and that the admins were told once: locked, low, …"""

    name = fields.CharField(max_length=32, primary_key=True)
    since = fields.DatetimeField()

    class Meta:
        table = "occasion"


class AdminAction(Model):
    """Who did what to whom, and when."""

    id = fields.BigIntField(primary_key=True)
    admin_id = fields.BigIntField()
    action = fields.CharField(max_length=32)
    person_id = fields.BigIntField(null=True)
    detail = fields.CharField(max_length=64, null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "admin_action"
        indexes = (Index(fields=("person_id", "created_at")),)


class Turn(Model):
    """When a schedule is due again."""

    name = fields.CharField(max_length=32, primary_key=True)
    due_at = fields.DatetimeField()

    class Meta:
        table = "turn"
