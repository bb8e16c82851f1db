"""`/balance`, `/reconcile` and `/setbudget auto`; what is said while fal's account is empty."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from bot.i18n import load_texts
from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Message
from bot.sandbox.telegram import Person as Visitor
from db.models import BalanceReading
from tests.handlers.house import House
from tests.support.running import running_bot

DOLLAR = 10**9
PICTURE = 25_000_000

ADMINS_ONLY = {
    "en": "Only administrators can do this.",
    "fr": "Seuls les administrateurs peuvent faire cela.",
}
SILENT = {
    "en": "fal does not answer just now. Nothing was changed; please try again in a minute.",
    "fr": "fal ne répond pas pour l’instant. Rien n’a changé ; réessayez dans une minute.",
}
NEEDS_KEY = {
    "en": "fal tells this only to a key of ADMIN scope. Set FAL_ADMIN_KEY to see it.",
    "fr": "fal ne le dit qu’à une clé de portée ADMIN. Renseignez FAL_ADMIN_KEY pour le voir.",
}
LOCKED = {
    "en": "The fal account is out of credit; the admins have been told. It is not your budget.",
    "fr": "Le compte fal n’a plus de crédit ; les administrateurs sont prévenus. Ce n’est pas "
    "votre budget.",
}
COMMANDS = ["/balance", "/reconcile", "/setbudget auto"]


async def expect(person: Visitor, command: str, text: str) -> None:
    """Who writes this is answered that, whatever else there is to say meanwhile."""
    before = len(person.chat.messages)
    await person.sends(command)

    def fits(message: Message) -> bool:
        return message.text == text and person.chat.messages.index(message) >= before

    await person.chat.wait_for(fits, what=text)


async def a_picture(house: House, person: Visitor) -> None:
    """A job, so that there is something to look up."""
    await person.sends("/image a fox")
    await house.running.all_shown()


@pytest.fixture
async def keyless(sandbox: Sandbox, database_url: str) -> AsyncIterator[House]:
    """A house without a key of ADMIN scope."""
    async with running_bot(sandbox, database_url, fal_admin_key="") as running:
        yield House(sandbox, running)


# ---------------------------------------------------------------------------------- /balance


@pytest.mark.parametrize("command", COMMANDS)
async def test_only_admins_look_into_the_account(house: House, language: str, command: str) -> None:
    bea = await house.member(language=language, dollars="1")
    assert await house.says(bea, command) == ADMINS_ONLY[language]
    assert (await house.figures(bea)).budget_nanos == DOLLAR


async def test_the_balance_stands_beside_what_people_may_spend(house: House) -> None:
    ada = await house.admin()
    await house.member(dollars="7.65")
    house.fal.balance_nanos = 7_650_000_000
    assert await house.says(ada, "/balance") == (
        "🏦 Balance at fal: $7.65\n"
        "Left in people's budgets: $7.65\n"
        "🟢 Every budget is covered.\n"
        "Spent: $0.00"
    )
    house.fal.balance_nanos -= 1
    assert await house.says(ada, "/balance") == (
        "🏦 Balance at fal: $7.649999999\n"
        "Left in people's budgets: $7.65\n"
        "🔴 The budgets promise more than there is.\n"
        "Spent: $0.00"
    )


async def test_the_balance_in_french(house: House) -> None:
    ada = await house.admin("fr")
    await house.member(dollars="7.65")
    house.fal.balance_nanos = 5 * DOLLAR
    assert await house.says(ada, "/balance") == (
        "🏦 Solde chez fal : 5,00 $\n"
        "Reste dans les budgets : 7,65 $\n"
        "🔴 Les budgets promettent plus qu’il n’y a.\n"
        "Dépensé : 0,00 $"
    )


@pytest.mark.parametrize(
    ("command", "operation"),
    [
        ("/balance", "billing"),
        ("/reconcile", "billing_events"),
        ("/setbudget auto", "billing"),
    ],
)
async def test_while_fal_is_silent_that_is_said(
    house: House, language: str, command: str, operation: str
) -> None:
    ada = await house.admin(language)
    await a_picture(house, ada)
    house.fal.faults.add("html", operation)
    await expect(ada, command, SILENT[language])
    assert (await house.figures(ada)).budget_nanos is None


@pytest.mark.parametrize("command", COMMANDS)
async def test_without_an_admin_key_it_is_said_what_is_missing(
    keyless: House, language: str, command: str
) -> None:
    assert await keyless.says(await keyless.admin(language), command) == NEEDS_KEY[language]


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_key_without_the_scope_is_not_called_silence(house: House, command: str) -> None:
    ada = await house.admin()
    await a_picture(house, ada)
    house.fal.account.admin_key, house.fal.account.api_key = (
        house.fal.account.api_key,
        house.fal.account.admin_key,
    )
    await expect(ada, command, NEEDS_KEY["en"])


# -------------------------------------------------------------------------------- /reconcile


async def first_reading(language: str) -> str:
    """When the balance was read that differences are counted from."""
    return load_texts(language).date((await BalanceReading.get(name="then")).read_at)


async def test_a_reconciliation_tells_what_it_found(house: House) -> None:
    ada, bea = await house.admin(), await house.member(dollars="10")
    house.fal.discount = house.fal.discount + 10
    await a_picture(house, bea)
    house.fal.outside_spending(123_456_789)
    house.fal.faults.add(Fault("late", seconds=3600), "bill")
    house.fal.faults.add("no_units", "result")
    await bea.sends("/image a fox")
    await house.running.all_shown(2)
    await expect(
        ada,
        "/reconcile",
        "🧾 The books beside fal's bills\n"
        "1 job billed by fal\n"
        "1 job charged by its quote, its bill is not there yet\n"
        "1 adjustment made: -$0.0025\n"
        "Charged by the bot: $0.0475\n"
        "Spent outside of the bot: $0.123456789\n"
        f"Balance on {await first_reading('en')}: $100.00. Less $0.0475 charged and $0.123456789 "
        "outside of the bot since then: $99.829043211. Balance now: $99.831543211.\n"
        "Unexplained difference to the balance: -$0.0025\n"
        "Spent: $0.00",
    )


async def test_a_reconciliation_in_french_and_again(house: House) -> None:
    ada, bea = await house.admin("fr"), await house.member(dollars="10")
    house.fal.discount = house.fal.discount + 10
    for number in (1, 2):
        await bea.sends("/image a fox")
        await house.running.all_shown(number)
    said = await house.says(ada, "/reconcile")
    assert said == (
        "🧾 Les comptes face aux factures de fal\n"
        "2 demandes facturées par fal\n"
        "2 corrections faites : -0,005 $ en tout\n"
        "Compté par le bot : 0,045 $\n"
        "Dépensé en dehors du bot : 0,00 $\n"
        f"Solde du {await first_reading('fr')} : 100,00 $. Moins 0,045 $ comptés et 0,00 $ "
        "dépensés hors du bot depuis : 99,955 $. Solde actuel : 99,955 $.\n"
        "Écart inexpliqué avec le solde : 0,00 $\n"
        "Dépensé : 0,00 $"
    )
    again = said.replace("2 corrections faites : -0,005 $ en tout", "Rien à corriger.")
    assert await house.says(ada, "/reconcile") == again


# --------------------------------------------------------------------------- /setbudget auto


async def test_a_budget_that_follows_the_balance(house: House) -> None:
    ada = await house.admin()
    house.fal.balance_nanos = 10 * DOLLAR
    await expect(
        ada,
        "/setbudget auto",
        "✅ Your budget now follows fal's real balance: $10.00.\n🟢 $10.00 of $10.00 left (100 %)",
    )
    for dollars, line in (
        (4, "🟡 $4.00 of $10.00 left (40 %)"),
        (20, "🟢 $20.00 of $20.00 left (100 %)"),
    ):
        house.fal.balance_nanos = dollars * DOLLAR
        await ada.sends("/reconcile")  # which looks at the balance first
        await ada.chat.wait_for_text(re.escape(line) + "$")
    await expect(
        ada, "/setbudget 5", "✅ Your budget is now $5.00.\n🟢 $5.00 of $5.00 left (100 %)"
    )
    house.fal.balance_nanos = DOLLAR
    await ada.sends("/reconcile")
    await ada.chat.wait_for_text("🧾[^🟢]+🟢 .5.00 of .5.00 left")
    stored = await house.figures(ada)
    assert (stored.budget_nanos, stored.spent_nanos) == (5 * DOLLAR, 0)


async def test_an_admin_lets_somebody_elses_budget_follow(house: House, language: str) -> None:
    ada, bea = await house.admin(language), await house.member(dollars="1")
    house.fal.balance_nanos = 10 * DOLLAR
    said = (await house.says(ada, "/setbudget AUTO @bea")).splitlines()[0]
    assert (
        said
        == {
            "en": "✅ The budget of Bea now follows fal's real balance: $10.00.",
            "fr": "✅ Le budget de Bea suit maintenant le solde réel chez fal : 10,00 $.",
        }[language]
    )
    assert (await house.figures(bea)).followed_balance_nanos == 10 * DOLLAR


# ----------------------------------------------------------------------- notices to the admins


async def test_an_empty_account_is_told_to_all_whom_it_concerns(
    house: House, language: str
) -> None:
    ada, bea = await house.admin(language), await house.member(language=language, dollars="1")
    house.fal.balance_nanos = 0
    await bea.sends("/image a fox")
    first = await bea.chat.wait_for(lambda message: "✖️" in message.text)
    assert (
        first.text.splitlines()[0]
        == {
            "en": "✖️ The fal account is out of credit, it is not your budget. The admins have been "
            "told.",
            "fr": "✖️ Le compte fal n’a plus de crédit, ce n’est pas votre budget. Les "
            "administrateurs sont prévenus.",
        }[language]
    )
    locked = {
        "en": "⚠️ fal has locked the account: its credit is used up. Nothing can be made until it "
        "is topped up at fal.ai/dashboard/billing.",
        "fr": "⚠️ fal a verrouillé le compte : son crédit est épuisé. Rien ne peut être fait avant "
        "une recharge sur fal.ai/dashboard/billing.",
    }[language]
    await ada.chat.wait_for(lambda message: message.text == locked)
    for command in ("/image a fox", "/video waves"):
        await expect(bea, command, LOCKED[language])
    stored = await house.figures(bea)
    assert (stored.held_nanos, stored.spent_nanos, stored.active_jobs) == (0, 0, 0)
    for balance in (0, 10 * DOLLAR):
        house.fal.balance_nanos = balance
        await ada.sends("/reconcile")
        await ada.chat.wait_for_text("🧾", after=ada.chat.messages[-1])
    await bea.sends("/image a fox")
    await bea.chat.wait_for_media("photo")
    assert len([m for m in ada.chat.messages if m.text == locked]) == 1


async def test_a_low_balance_and_broken_promises_are_told(house: House, language: str) -> None:
    ada = await house.admin(language)
    await house.member(dollars="8")
    house.fal.balance_nanos = 4_990_000_000
    await ada.sends("/reconcile")
    for words in {
        "en": (
            "⚠️ fal's balance is down to $4.99. Top it up at fal.ai/dashboard/billing.",
            "⚠️ People may still spend $8.00, but fal's balance is only $4.99.",
        ),
        "fr": (
            "⚠️ Le solde chez fal n’est plus que de 4,99 $. Rechargez-le sur "
            "fal.ai/dashboard/billing.",
            "⚠️ Les budgets permettent encore 8,00 $, mais le solde chez fal n’est que de 4,99 $.",
        ),
    }[language]:
        await ada.chat.wait_for_text(re.escape(words))


async def test_an_excess_is_shown_below_zero_and_told_to_the_admins(
    house: House, language: str
) -> None:
    ada, bea = await house.admin(language), await house.member(language=language, dollars="0.05")
    house.fal.faults.add(Fault("units", units="4"), "job")
    await bea.sends("/image a fox")
    photo = await bea.chat.wait_for_media("photo")
    [job] = await house.running.all_shown()
    assert (
        photo.text.splitlines()[-1]
        == {
            "en": "🔴 -$0.05 of $0.05 left (-100 %)",
            "fr": "🔴 -0,05 $ sur 0,05 $ restants (-100 %)",
        }[language]
    )
    words = {
        "en": f"⚠️ fal billed more than was quoted for job {job.id}: quoted $0.025, billed $0.10. "
        "It is booked as billed.",
        "fr": f"⚠️ fal a facturé plus que prévu pour la demande {job.id} : prévu 0,025 $, facturé "
        "0,10 $. C’est compté comme facturé.",
    }[language]
    await ada.chat.wait_for(lambda message: message.text == words)


async def test_an_alert_says_how_long_it_lasts(house: House, language: str) -> None:
    bea = await house.member(language=language, dollars="0.6")
    await bea.sends("/video waves")
    alert = await bea.chat.wait_for(lambda message: message.text.startswith("🔴"))
    line, words, days, enough = alert.text.splitlines()
    assert (
        line
        == {
            "en": "🔴 $0.10 of $0.60 left (16 %)",
            "fr": "🔴 0,10 $ sur 0,60 $ restants (16 %)",
        }[language]
    )
    assert "/budget" in words
    assert {"en": "7 days", "fr": "7 derniers jours"}[language] in days
    assert {"en": "4 pictures", "fr": "4 images"}[language] in enough
