"""`/setbudget`: every way to write an amount, and every wrong one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.sandbox import Sandbox
from tests.handlers.house import House
from tests.support.running import running_bot

DOLLAR = 10**9

ASKED = {
    "en": "Please say how much, for example /setbudget 10.00, or /setbudget off for no budget.",
    "fr": "Dites combien, par exemple /setbudget 10,00, ou /setbudget off pour ne pas avoir de "
    "budget.",
}
UNREAD = {
    "en": "I could not read that as an amount. Please send an amount like /setbudget 10.00, or "
    "/setbudget off for no budget.",
    "fr": "Je n’ai pas compris ce montant. Envoyez par exemple /setbudget 10,00, ou /setbudget off "
    "pour ne pas avoir de budget.",
}
NEGATIVE = {
    "en": "A budget cannot be less than zero. Please send an amount like /setbudget 10.00.",
    "fr": "Un budget ne peut pas être inférieur à zéro. Envoyez un montant comme /setbudget 10,00.",
}
DECIMALS = {
    "en": "Please send at most nine decimals: fal's smallest unit is a billionth of a dollar. For "
    "example /setbudget 10.00.",
    "fr": "Neuf décimales au plus : la plus petite unité de fal est le milliardième de dollar. Par "
    "exemple /setbudget 10,00.",
}
TOO_MUCH = {
    "en": "That is more than the largest budget, $1,000,000. Please send an amount like "
    "/setbudget 10.00.",
    "fr": "C’est plus que le budget maximal, 1\u202f000\u202f000 $. Envoyez un montant comme "
    "/setbudget 10,00.",
}
CURRENCY = {
    "en": "fal bills in US dollars, so I can only take amounts in USD. Please send one like "
    "/setbudget $10.00.",
    "fr": "fal facture en dollars américains ; je n’accepte donc que des montants en USD. Envoyez "
    "par exemple /setbudget 10,00 $.",
}
WRONG = [
    ("", ASKED),
    ("   ", ASKED),
    ("-1", NEGATIVE),
    ("−0.01", NEGATIVE),
    ("$-5", NEGATIVE),
    ("NaN", UNREAD),
    ("nan", UNREAD),
    ("inf", UNREAD),
    ("Infinity", UNREAD),
    ("1e999", UNREAD),
    ("1e3", UNREAD),
    ("ten", UNREAD),
    ("10.00.00", UNREAD),
    ("0x10", UNREAD),
    ("10 10 10 dollars and a bit", UNREAD),
    ("9" * 200, UNREAD),
    ("<b>10</b>", UNREAD),
    ("' OR 1=1 --", UNREAD),
    ("1000000.01", TOO_MUCH),
    ("1000001", TOO_MUCH),
    ("0.0000000001", DECIMALS),
    ("1.1234567891", DECIMALS),
    ("10 €", CURRENCY),
    ("€10", CURRENCY),
    ("10 EUR", CURRENCY),
    ("£10", CURRENCY),
    ("10 ¥", CURRENCY),
]
UNDERSTOOD = [
    ("10.00", 10 * DOLLAR, "$10.00"),
    ("10,00", 10 * DOLLAR, "$10.00"),
    ("$10", 10 * DOLLAR, "$10.00"),
    ("10$", 10 * DOLLAR, "$10.00"),
    ("10 USD", 10 * DOLLAR, "$10.00"),
    ("usd 10", 10 * DOLLAR, "$10.00"),
    ("US$ 10", 10 * DOLLAR, "$10.00"),
    ("10 000,50", 10_000_500_000_000, "$10,000.50"),
    ("10\u202f000,50 $", 10_000_500_000_000, "$10,000.50"),
    ("10\u00a0000,50\u00a0$", 10_000_500_000_000, "$10,000.50"),
    ("10,000.50", 10_000_500_000_000, "$10,000.50"),
    ("10.000,50", 10_000_500_000_000, "$10,000.50"),
    ("10'000.50", 10_000_500_000_000, "$10,000.50"),
    ("١٠٫٥٠", 10_500_000_000, "$10.50"),
    ("١٠", 10 * DOLLAR, "$10.00"),
    ("۱۰", 10 * DOLLAR, "$10.00"),
    ("１０.５", 10_500_000_000, "$10.50"),
    ("\u200f10.00\u200f", 10 * DOLLAR, "$10.00"),
    ("0", 0, "$0.00"),
    ("0.000000001", 1, "$0.000000001"),
    ("0.123456789", 123_456_789, "$0.123456789"),
    ("1000000", 1_000_000 * DOLLAR, "$1,000,000.00"),
]


async def test_a_wrong_amount_is_explained_and_the_old_budget_stays(
    house: House, language: str
) -> None:
    bea = await house.member(language=language, dollars="7.65")
    for typed, expected in WRONG:
        said = await house.says(bea, f"/setbudget {typed}")
        assert said == expected[language], typed
        person = await house.figures(bea)
        assert (person.budget_nanos, person.budget_number) == (7_650_000_000, 1), typed


async def test_an_amount_is_understood_as_people_write_it(house: House) -> None:
    bea = await house.member()
    for typed, nanos, shown in UNDERSTOOD:
        said = await house.says(bea, f"/setbudget {typed}")
        emoji, percent = ("🟢", 100) if nanos else ("🔴", 0)
        assert said == (
            f"✅ Your budget is now {shown}.\n{emoji} {shown} of {shown} left ({percent} %)"
        ), typed
        assert (await house.figures(bea)).budget_nanos == nanos, typed


async def test_off_removes_the_budget(house: House) -> None:
    for number, word in enumerate(("off", "OFF", "Off")):
        bea = await house.member(f"Bea{number}", 710 + number, dollars="5")
        said = await house.says(bea, f"/setbudget {word}")
        assert said == "✅ Your budget is removed: nothing is limited.\nSpent: $0.00"
        assert (await house.figures(bea)).budget_nanos is None


async def test_a_new_budget_starts_the_spending_anew(house: House) -> None:
    bea = await house.member(dollars="0.10")
    await bea.sends("/image a red fox")
    await bea.chat.wait_for_media()
    await bea.chat.next_message()
    assert (await house.figures(bea)).spent_nanos == 25_000_000
    said = await house.says(bea, "/setbudget 5.00")
    assert said == "✅ Your budget is now $5.00.\n🟢 $5.00 of $5.00 left (100 %)"
    person = await house.figures(bea)
    assert (person.spent_nanos, person.total_spent_nanos) == (0, 25_000_000)


async def test_an_administrator_sets_the_budget_of_someone_else(house: House) -> None:
    ada, bea = await house.admin(), await house.member()
    expected = "✅ The budget of Bea is now $3.00.\n🟢 $3.00 of $3.00 left (100 %)"
    assert await house.says(ada, "/setbudget 3.00 @bea") == expected
    assert await house.says(ada, "/setbudget 3 USD @BEA") == expected
    assert (await house.figures(bea)).budget_nanos == 3 * DOLLAR
    assert (await house.figures(ada)).budget_nanos is None
    said = await house.says(ada, "/setbudget off @bea")
    assert said == "✅ The budget of Bea is removed.\nSpent: $0.00"


async def test_nobody_else_may_set_the_budget_of_someone_else(house: House) -> None:
    bea = await house.member(dollars="1")
    await house.member("Carl", 702, dollars="2")
    for words in ("3.00 @carl", "off @carl", "@carl", "auto"):
        assert await house.says(bea, f"/setbudget {words}") == "Only administrators can do this."
    assert await house.says(bea, "/setbudget 3.00 @bea") == (
        "✅ Your budget is now $3.00.\n🟢 $3.00 of $3.00 left (100 %)"
    )
    carl = house.telegram.people[702]
    assert (await house.figures(carl)).budget_nanos == 2 * DOLLAR


async def test_a_name_that_nobody_has_is_told(house: House) -> None:
    ada = await house.admin()
    said = await house.says(ada, "/setbudget 3.00 @nobody")
    assert said == "I do not know @nobody. People are known to me once they have written to me."
    said = await house.says(ada, "/setbudget 3.00 @<b>")
    assert said == "I do not know @<b>. People are known to me once they have written to me."


@pytest.fixture
async def strict(sandbox: Sandbox, database_url: str) -> AsyncIterator[House]:
    """A house in which only administrators set budgets, and a euro is shown."""
    async with running_bot(
        sandbox, database_url, budget_self_service="false", currency="EUR", usd_rate="0.92"
    ) as running:
        yield House(sandbox, running)


async def test_where_budgets_are_the_admins_business_members_are_told(strict: House) -> None:
    ada, bea = await strict.admin(), await strict.member(dollars="1")
    assert await strict.says(bea, "/setbudget 100") == "Only administrators can do this."
    assert await strict.says(bea, "/setbudget off") == "Only administrators can do this."
    assert (await strict.figures(bea)).budget_nanos == DOLLAR
    assert await strict.says(ada, "/setbudget 9.20 @bea") == (
        "✅ The budget of Bea is now €9.20.\n"
        "1 US dollar counts as 0.92 EUR; the books are kept in dollars.\n"
        "🟢 €9.20 of €9.20 left (100 %)"
    )
    assert (await strict.figures(bea)).budget_nanos == 10 * DOLLAR


async def test_the_display_currency_and_dollars_are_taken_and_no_other(strict: House) -> None:
    ada = await strict.admin(language="fr")
    for typed, nanos, shown in (
        ("9,20", 10 * DOLLAR, "9,20 €"),
        ("9,20 €", 10 * DOLLAR, "9,20 €"),
        ("10 $", 10 * DOLLAR, "9,20 €"),
    ):
        said = await strict.says(ada, f"/setbudget {typed}")
        assert said == (
            f"✅ Votre budget est maintenant de {shown}.\n"
            "1 dollar américain compte pour 0,92 EUR ; les comptes sont tenus en dollars.\n"
            f"🟢 {shown} sur {shown} restants (100 %)"
        )
        assert (await strict.figures(ada)).budget_nanos == nanos
    assert await strict.says(ada, "/setbudget 10 £") == (
        "fal facture en dollars américains ; je n’accepte donc que des montants en USD / EUR. "
        "Envoyez par exemple /setbudget 10,00 $."
    )
