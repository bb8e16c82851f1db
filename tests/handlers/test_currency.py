"""Another currency changes what people see and type, and never the books."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.sandbox import Fault, Sandbox
from db.audit import verify
from db.models import ContentJob
from tests.handlers.house import House
from tests.support.running import running_bot

DOLLAR = 10**9

RATE = {
    "en": "1 US dollar counts as 0.92 EUR; the books are kept in dollars.",
    "fr": "1 dollar américain compte pour 0,92 EUR ; les comptes sont tenus en dollars.",
}


@pytest.fixture
async def euros(sandbox: Sandbox, database_url: str) -> AsyncIterator[House]:
    """A house in which a dollar is shown as 0.92 euros."""
    async with running_bot(
        sandbox, database_url, currency="EUR", usd_rate="0.92", commands_per_minute=1000
    ) as running:
        yield House(sandbox, running)
        assert await verify(running.connection) == []


@pytest.fixture
async def yens(sandbox: Sandbox, database_url: str) -> AsyncIterator[House]:
    """A house in a currency without small coins."""
    async with running_bot(sandbox, database_url, currency="JPY", usd_rate="151.234567") as running:
        yield House(sandbox, running)


@pytest.mark.parametrize(
    ("typed", "nanos", "shown"),
    [
        ("9.20", 10 * DOLLAR, "€9.20"),
        ("9,20", 10 * DOLLAR, "€9.20"),
        ("€9.20", 10 * DOLLAR, "€9.20"),
        ("9.20 €", 10 * DOLLAR, "€9.20"),
        ("9.20 EUR", 10 * DOLLAR, "€9.20"),
        ("eur 9.20", 10 * DOLLAR, "€9.20"),
        ("$10", 10 * DOLLAR, "€9.20"),
        ("10 USD", 10 * DOLLAR, "€9.20"),
        ("US$10", 10 * DOLLAR, "€9.20"),
        ("10", 10_869_565_217, "€10.00"),  # 10 / 0.92, rounded to a nano-dollar
        ("0", 0, "€0.00"),
        ("0.003", 3_260_870, "€0.003"),
        ("1e-9 $", None, ""),
        ("$0.000000001", 1, "€0.000000001"),
    ],
)
async def test_what_is_typed_is_taken_in_the_currency_it_names(
    euros: House, typed: str, nanos: int | None, shown: str
) -> None:
    bea = await euros.member()
    said = await euros.says(bea, f"/setbudget {typed}")
    assert (await euros.figures(bea)).budget_nanos == nanos
    if nanos is not None:
        assert said.splitlines()[:2] == [f"✅ Your budget is now {shown}.", RATE["en"]]


@pytest.mark.parametrize("typed", ["£10", "10 GBP", "10 CHF", "¥10", "10 pounds", "CA$10", "₿1"])
async def test_any_other_currency_is_refused_with_the_reason(
    euros: House, language: str, typed: str
) -> None:
    bea = await euros.member(language=language, dollars="1")
    assert "USD / EUR" in await euros.says(bea, f"/setbudget {typed}")
    assert (await euros.figures(bea)).budget_nanos == DOLLAR


async def test_a_job_is_shown_in_euros_and_booked_in_dollars(euros: House) -> None:
    bea = await euros.member(dollars="10")
    await bea.sends("/image a red fox")
    photo = await bea.chat.wait_for_media("photo")
    assert "€0.023" in photo.text
    assert photo.text.splitlines()[-1] == "🟢 €9.177 of €9.20 left (99 %)"
    job = await ContentJob.get()
    assert (job.quote_nanos, job.cost_nanos) == (25_000_000, 25_000_000)
    assert euros.fal.bill_total_nanos == 25_000_000
    assert (await euros.figures(bea)).spent_nanos == 25_000_000


async def test_the_rate_is_said_where_money_is_explained(euros: House, language: str) -> None:
    ada = await euros.admin(language)
    for command in ("/budget", "/balance", "/reconcile"):
        assert RATE[language] in await euros.says(ada, command)


async def test_without_another_currency_no_rate_is_said(house: House) -> None:
    ada = await house.admin()
    for command in ("/budget", "/balance", "/reconcile"):
        assert "counts as" not in await house.says(ada, command)


async def test_the_account_is_shown_in_euros(euros: House) -> None:
    ada = await euros.admin("fr")
    euros.fal.balance_nanos = 100 * DOLLAR
    said = await euros.says(ada, "/balance")
    assert said.splitlines()[0] == "🏦 Solde chez fal : 92,00 €"
    assert said.splitlines()[-1] == "Dépensé : 0,00 €"


async def test_a_refusal_names_its_amounts_in_euros(euros: House) -> None:
    bea = await euros.member(dollars="0.01")
    assert await euros.says(bea, "/image a fox") == (
        "🔴 This costs €0.023 at most, and €0.0092 is available. Nothing was sent.\n"
        "🟢 €0.0092 of €0.0092 left (100 %)"
    )


async def test_small_amounts_keep_their_digits(house: House) -> None:
    bea = await house.member()
    assert (await house.says(bea, "/setbudget 0.003")).splitlines()[0] == (
        "✅ Your budget is now $0.003."
    )
    luc = await house.member("Luc", 702, "fr")
    assert (await house.says(luc, "/setbudget 0,003")).splitlines()[0] == (
        "✅ Votre budget est maintenant de 0,003 $."
    )


async def test_the_books_are_finer_than_what_is_shown(yens: House) -> None:
    bea, ada = await yens.member(dollars="10"), await yens.admin()
    yens.fal.faults.add(Fault("changed", nanos=10), "bill")
    await bea.sends("/image a fox")
    await yens.running.all_shown()
    assert "Charged by the bot: ¥0.000002" in await yens.says(ada, "/reconcile")
    assert (await yens.figures(bea)).spent_nanos == 10


async def test_two_currencies_after_each_other_are_the_same_books(
    sandbox: Sandbox, database_url: str
) -> None:
    async with running_bot(sandbox, database_url, currency="EUR", usd_rate="0.92") as running:
        euros = House(sandbox, running)
        bea = await euros.member()
        await euros.says(bea, "/setbudget 9.20")
    async with running_bot(sandbox, database_url) as running:
        house = House(sandbox, running)
        said = await house.says(bea, "/budget")
        assert said.splitlines()[-1] == "🟢 $10.00 of $10.00 left (100 %)"
