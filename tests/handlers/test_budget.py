"""`/budget` and `/dashboard`: the status line to the letter, the message that keeps itself true."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal

from PIL import Image

from bot.money import nanos_from_decimal
from bot.sandbox import Sandbox
from bot.sandbox.telegram import Content
from bot.sandbox.telegram import Person as Visitor
from db import ledger
from db.accounts import Settlement
from db.models import ContentJob, CostSource, JobState, LiveMessage, Person
from db.sql import now
from tests.handlers.bench import Bench
from tests.handlers.house import House
from tests.support.running import let_in, running_bot

# Spent of a budget of $10.00, and how the status line says it.
LINES = [
    ("0", "🟢 $10.00 of $10.00 left (100 %)", "🟢 10,00 $ sur 10,00 $ restants (100 %)"),
    ("2.35", "🟢 $7.65 of $10.00 left (76 %)", "🟢 7,65 $ sur 10,00 $ restants (76 %)"),
    ("4.99", "🟢 $5.01 of $10.00 left (50 %)", "🟢 5,01 $ sur 10,00 $ restants (50 %)"),
    (
        "4.999999999",
        "🟢 $5.000000001 of $10.00 left (50 %)",
        "🟢 5,000000001 $ sur 10,00 $ restants (50 %)",
    ),
    ("5", "🟡 $5.00 of $10.00 left (50 %)", "🟡 5,00 $ sur 10,00 $ restants (50 %)"),
    ("7.5", "🟡 $2.50 of $10.00 left (25 %)", "🟡 2,50 $ sur 10,00 $ restants (25 %)"),
    (
        "7.500000001",
        "🔴 $2.499999999 of $10.00 left (24 %)",
        "🔴 2,499999999 $ sur 10,00 $ restants (24 %)",
    ),
    ("7.6", "🔴 $2.40 of $10.00 left (24 %)", "🔴 2,40 $ sur 10,00 $ restants (24 %)"),
    ("9.975", "🔴 $0.025 of $10.00 left (0 %)", "🔴 0,025 $ sur 10,00 $ restants (0 %)"),
    ("10", "🔴 $0.00 of $10.00 left (0 %)", "🔴 0,00 $ sur 10,00 $ restants (0 %)"),
    ("10.50", "🔴 -$0.50 of $10.00 left (-5 %)", "🔴 -0,50 $ sur 10,00 $ restants (-5 %)"),
]


async def spend(person: Visitor, nanos: int, origin: str) -> None:
    """A job of this person that cost so much."""
    job = ContentJob(
        person_id=person.id,
        origin=origin,
        chat_id=person.id,
        kind="image",
        endpoint="fal-ai/flux/dev",
        prompt="a red fox",
        arguments={},
        unit="megapixels",
        unit_price_nanos=nanos,
        price_origin="api",
        quote_nanos=0,
        created_at=now(),
    )
    movement = await ledger.hold(job, max_active_jobs=3)
    assert movement.job_id is not None
    settlement = Settlement(JobState.DELIVERED, {"shown_at": now(), "finished_at": now()})
    await ledger.charge(movement.job_id, nanos, CostSource.UNITS, settlement)


async def test_the_status_line_has_its_form_and_emoji_at_every_boundary(house: House) -> None:
    for number, (spent, english, french) in enumerate(LINES):
        bea = await house.member("Bea", 800 + number, dollars="10")
        luc = await house.member("Luc", 900_000 + number, "fr", dollars="10")
        nanos = nanos_from_decimal(Decimal(spent))
        for person in (bea, luc):
            if nanos:
                await spend(person, nanos, f"test:{person.id}")
        assert (await house.says(bea, "/budget")).splitlines()[-1] == english
        assert (await house.says(luc, "/budget")).splitlines()[-1] == french


async def test_without_a_budget_the_line_says_what_was_spent(house: House) -> None:
    bea, luc = await house.member(), await house.member("Luc", 702, "fr")
    assert (await house.says(bea, "/budget")).splitlines()[-1] == "Spent: $0.00"
    assert (await house.says(luc, "/budget")).splitlines()[-1] == "Dépensé : 0,00 $"
    for person in (bea, luc):
        await spend(person, 25_000_000, f"test:{person.id}")
    assert (await house.says(bea, "/budget")).splitlines()[-1] == "Spent: $0.025"
    assert (await house.says(luc, "/budget")).splitlines()[-1] == "Dépensé : 0,025 $"


async def test_a_budget_of_zero_is_red(house: House) -> None:
    bea = await house.member(dollars="0")
    said = await house.says(bea, "/budget")
    assert said.splitlines()[-1] == "🔴 $0.00 of $0.00 left (0 %)"


async def test_the_budget_names_bar_spent_held_and_forecast(house: House) -> None:
    house.fal.pace = "manual"
    bea = await house.member(dollars="1")
    await spend(bea, 300_000_000, "test:bea")
    await bea.sends("/video waves")
    await house.fal.wait_for_requests()
    await bea.chat.next_message()
    await Person.filter(id=bea.id).update(budget_set_at=datetime(2026, 7, 14, tzinfo=UTC))
    assert await house.says(bea, "/budget") == (
        "💰 Budget\n"
        "▓▓▒▒▒▒▒░░░\n"
        "Spent: $0.30 since the budget was set (14 Jul 2026)\n"
        "Held for what is under way: $0.50\n"
        "At the pace of the last 7 days the budget lasts less than a day.\n"
        "Enough for about 8 pictures.\n"
        "\n"
        "🟢 $0.70 of $1.00 left (70 %)"
    )


async def test_the_forecast_knows_at_once_what_has_been_spent(house: House) -> None:
    """Nor is it computed anew while nothing is: what a year holds would have to be added up."""
    bea = await house.member(dollars="100")
    await spend(bea, 7_000_000_000, "test:first")
    assert "the budget lasts about 13 more days" in await house.says(bea, "/budget")
    assert "the budget lasts about 13 more days" in await house.says(bea, "/budget")
    await spend(bea, 63_000_000_000, "test:second")
    assert "the budget lasts less than a day" in await house.says(bea, "/budget")


async def test_the_answer_is_a_new_message_each_time(house: House) -> None:
    bea = await house.member(dollars="1")
    first = await house.answer(bea, "/budget")
    second = await house.answer(bea, "/budget")
    assert first is not second
    assert first.text == second.text


# ------------------------------------------------------------------------- it keeps itself true


async def test_the_last_budget_message_follows_the_figures(
    sandbox: Sandbox, database_url: str
) -> None:
    async with running_bot(sandbox, database_url, live_interval=0.2) as running:
        house = House(sandbox, running)
        bea = await house.member(dollars="1")
        old = await house.answer(bea, "/budget")
        live = await house.answer(bea, "/budget")

        async def shows(figures: str) -> None:
            await bea.chat.wait_for(lambda m: m is live and m.text.endswith(figures))

        await bea.sends("/image a red fox")
        await shows("🟢 $0.975 of $1.00 left (97 %)")
        await bea.sends("/setbudget 5")
        await shows("🟢 $5.00 of $5.00 left (100 %)")
        assert len(old.versions) == 1


async def test_the_message_is_edited_when_the_figures_changed_and_only_then(
    workbench: Bench,
) -> None:
    bea = workbench.telegram.person(id=701, name="Bea", language="en")
    await let_in(bea, budget_nanos=10**9)
    [message] = await workbench.hears_of(bea, "/budget")
    boards = workbench.services.budgets
    assert await boards.refresh() == 0
    await spend(bea, 25_000_000, "test:1")
    assert await boards.refresh() == 1
    assert message.text.endswith("🟢 $0.975 of $1.00 left (97 %)")
    for _ in range(3):
        await workbench.hears_of(bea, "/help")
        assert await boards.refresh() == 0
    assert len(message.versions) == 2
    assert len(workbench.telegram.called("editMessageText")) == 1


async def test_a_message_that_was_deleted_is_followed_no_more(workbench: Bench) -> None:
    bea = workbench.telegram.person(id=701, name="Bea", language="en")
    await let_in(bea, budget_nanos=10**9)
    [message] = await workbench.hears_of(bea, "/budget")
    bea.chat.delete(message)
    for number in range(3):
        await spend(bea, 25_000_000, f"test:{number}")
        assert await workbench.services.budgets.refresh() == 0
    assert len(workbench.telegram.called("editMessageText")) == 1


async def test_a_group_that_became_a_supergroup_is_not_asked_for_ever(workbench: Bench) -> None:
    bea = workbench.telegram.person(id=701, name="Bea", language="en")
    stored = await let_in(bea, budget_nanos=10**9)
    group = workbench.telegram.group("Team", [bea])
    shown = group.add(Content("a budget, from the time when groups were shown it"), None)
    await LiveMessage.create(
        chat_id=group.id, person=stored, message_id=shown.id, shown_version=stored.version
    )
    workbench.telegram.migrate(group)
    for number in range(3):
        await spend(bea, 25_000_000, f"test:{number}")
        await workbench.services.budgets.refresh()
    assert len(workbench.telegram.called("editMessageText")) == 1


async def test_who_blocked_the_bot_is_left_alone(workbench: Bench) -> None:
    bea = workbench.telegram.person(id=701, name="Bea", language="en")
    await let_in(bea, budget_nanos=10**9)
    await workbench.hears_of(bea, "/budget")
    bea.blocks_bot()
    for number in range(3):
        await spend(bea, 25_000_000, f"test:{number}")
        await workbench.services.budgets.refresh()
    assert len(workbench.telegram.called("editMessageText")) == 1


# ---------------------------------------------------------------------------------- the dashboard


async def test_the_dashboard_has_the_way_to_fal_and_a_picture(house: House, language: str) -> None:
    bea = await house.member(language=language, dollars="10")
    await spend(bea, 2_350_000_000, "test:bea")
    message = await house.answer(bea, "/dashboard")
    assert message.kind == "photo"
    assert (
        message.text
        == {
            "en": "📊 Your last 30 days\n🟢 $7.65 of $10.00 left (76 %)",
            "fr": "📊 Vos 30 derniers jours\n🟢 7,65 $ sur 10,00 $ restants (76 %)",
        }[language]
    )
    button = message.buttons[-1]
    assert button["url"] == "https://fal.ai/dashboard/keys"
    assert (
        button["text"]
        == {
            "en": "Open the fal.ai dashboard",
            "fr": "Ouvrir le tableau de bord fal.ai",
        }[language]
    )
    picture = Image.open(io.BytesIO(message.media or b""))
    assert min(picture.size) >= 800


async def test_the_dashboard_is_there_before_anything_was_spent(house: House) -> None:
    bea = await house.member()
    message = await house.answer(bea, "/dashboard")
    assert message.kind == "photo"
    assert message.text == "📊 Your last 30 days\nSpent: $0.00"
