"""Letting people in and keeping them out: by button and by command, for good and at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.access import AccessControl, Decision
from bot.sandbox import Sandbox
from bot.sandbox.telegram import Message
from bot.sandbox.telegram import Person as Visitor
from db.models import Access, LedgerEntry, Notice, Person
from tests.handlers.bench import Bench, bench
from tests.handlers.house import House
from tests.support.running import ADMIN_ID, let_in, running_bot

SECOND_ADMIN_ID = 901
WELCOME = {
    "en": "🎉 You are in! Try /image a lighthouse at dawn, or /help for everything.",
    "fr": "🎉 Vous avez accès ! Essayez /image un phare à l’aube, ou /help pour tout savoir.",
}
REFUSAL = {
    "en": "The administrators have decided not to let you in.",
    "fr": "Les administrateurs ont décidé de ne pas vous donner accès.",
}


async def request_of(house: House, visitor: Visitor, *admins: Visitor) -> list[Message]:
    """What the admins are shown when the visitor asks to be let in."""
    await house.answer(visitor, "/start")
    return [await admin.chat.next_message() for admin in admins]


# --------------------------------------------------------------------------------------- buttons


async def test_approve_lets_a_person_in_and_tells_both(house: House, language: str) -> None:
    ada, mal = await house.admin(language), house.stranger(language=language)
    [request] = await request_of(house, mal, ada)
    query = await ada.presses(request, {"en": "✅ Approve", "fr": "✅ Accepter"}[language])
    said = {"en": "✅ Mal (@mal) is in.", "fr": "✅ Mal (@mal) a maintenant accès."}[language]
    assert query.text == said
    assert (await mal.chat.next_message()).text == WELCOME[language]
    await ada.chat.wait_for(lambda m: m is request and m.text == said and not m.buttons)
    last = (await house.says(mal, "/budget")).splitlines()[-1]
    assert last == {"en": "Spent: $0.00", "fr": "Dépensé : 0,00 $"}[language]


async def test_deny_keeps_a_person_out_with_one_answer_and_then_silence(
    house: House, language: str
) -> None:
    ada, mal = await house.admin(language), house.stranger(language=language)
    [request] = await request_of(house, mal, ada)
    query = await ada.presses(request, {"en": "🚫 Deny", "fr": "🚫 Refuser"}[language])
    said = {"en": "🚫 Mal (@mal) stays out.", "fr": "🚫 Mal (@mal) n’a pas accès."}[language]
    assert query.text == said
    assert (await mal.chat.next_message()).text == REFUSAL[language]
    heard = len(mal.chat.from_bot)
    for text in ("/start", "/help", "/image a cat", "please?", "/start please"):
        await mal.sends(text)
    query = await mal.presses(mal.chat.last, "cancel:1", stale=True)
    assert query.text in ("This is not for you.", "Ceci ne vous est pas destiné.")
    assert len(mal.chat.from_bot) == heard
    assert len(ada.chat.from_bot) == 1


async def test_a_default_budget_is_there_from_the_first_moment(
    sandbox: Sandbox, database_url: str
) -> None:
    async with running_bot(sandbox, database_url, default_budget="2.50") as running:
        house = House(sandbox, running)
        ada, mal = await house.admin(), house.stranger()
        [request] = await request_of(house, mal, ada)
        await ada.presses(request, "✅ Approve")
        await mal.chat.next_message()
        said = await house.says(mal, "/budget")
        assert said.splitlines()[-1] == "🟢 $2.50 of $2.50 left (100 %)"


async def test_only_the_press_of_an_admin_counts(house: House) -> None:
    ada, bea, mal = await house.admin(), await house.member(), house.stranger()
    [request] = await request_of(house, mal, ada)
    query = await bea.presses(request, f"approve:{mal.id}", stale=True)
    assert query.text == "Only administrators can do this."
    query = await mal.presses(request, f"approve:{mal.id}", stale=True)
    assert query.text == "This is not for you."
    assert (await house.figures(mal)).access == Access.PENDING
    assert request.button_texts[:2] == ["✅ Approve", "🚫 Deny"]


async def test_a_made_up_name_on_a_button_is_harmless(house: House) -> None:
    ada = await house.admin()
    shown = await house.answer(ada, "/help")
    query = await ada.presses(shown, "approve:424242", stale=True)
    assert query.text == (
        "I do not know 424242. People are known to me once they have written to me."
    )
    for data in (f"deny:{ADMIN_ID}", "approve:0", "approve:-1", "approve:x", "approve:9" * 7):
        query = await ada.presses(shown, data[:64], stale=True)
        assert query.answers
    assert (await house.figures(ada)).access == Access.APPROVED
    assert await Person.filter(id=424242).count() == 0


# -------------------------------------------------------------------------------------- two admins


@pytest.fixture
async def two(sandbox: Sandbox, database_url: str) -> AsyncIterator[House]:
    """A house with two administrators."""
    ids = f"{ADMIN_ID},{SECOND_ADMIN_ID}"
    async with running_bot(sandbox, database_url, admin_ids=ids) as running:
        yield House(sandbox, running)


async def second_admin(house: House) -> Visitor:
    ben = house.telegram.person(id=SECOND_ADMIN_ID, name="Ben", username="ben", language="en")
    await let_in(ben, is_admin=True)
    return ben


@pytest.mark.parametrize("button", ["✅ Approve", "🚫 Deny"])
async def test_a_second_press_says_who_was_first_and_changes_nothing(
    two: House, button: str
) -> None:
    ada, ben, mal = await two.admin(), await second_admin(two), two.stranger()
    first, second = await request_of(two, mal, ada, ben)
    await ada.presses(first, "✅ Approve")
    query = await ben.presses(second, button)
    said = "✅ Mal (@mal) was already let in by Ada."
    assert query.text == said
    await ben.chat.wait_for(lambda m: m is second and m.text == said and not m.buttons)
    query = await ada.presses(first, f"deny:{mal.id}", stale=True)
    assert query.text == said
    assert (await two.figures(mal)).access == Access.APPROVED
    assert await Notice.filter(person_id=mal.id).count() == 1


async def test_of_two_presses_at_the_same_moment_one_decides(
    sandbox: Sandbox, database_url: str
) -> None:
    ids = f"{ADMIN_ID},{SECOND_ADMIN_ID}"
    async with bench(sandbox, database_url, admin_ids=ids) as made:
        ada = sandbox.telegram.person(id=ADMIN_ID, name="Ada", started=True)
        ben = sandbox.telegram.person(id=SECOND_ADMIN_ID, name="Ben", started=True)
        for number in range(8):
            mal = sandbox.telegram.person(id=7000 + number, name="Mal", username=f"mal{number}")
            [shown] = await made.hears_of(mal, "/start")
            yes = await ada.presses(shown, f"approve:{mal.id}", stale=True, wait=False)
            no = await ben.presses(shown, f"deny:{mal.id}", stale=True, wait=False)
            updates = [sandbox.telegram.updates.pending.pop() for _ in range(2)]
            await asyncio.gather(*map(made.is_told, reversed(updates)))
            person = await Person.get(id=mal.id)
            assert await Notice.filter(person_id=mal.id).count() == 1
            winner, loser = (yes, no) if person.access == Access.APPROVED else (no, yes)
            assert "already" not in (winner.text or "")
            assert "already" in (loser.text or "")


# -------------------------------------------------------------------------------------- commands


async def test_approve_takes_a_name_an_id_or_a_reply(house: House) -> None:
    ada = await house.admin()
    group = house.telegram.group("Team", [ada])
    for number, way in enumerate(("@mal0", "mal1", "902", "reply")):
        mal = house.telegram.person(id=900 + number, name="Mal", username=f"mal{number}")
        if mal.id == ADMIN_ID:
            mal = house.telegram.person(id=950, name="Mal", username="mal0")
        await house.answer(mal, "/start")
        await ada.chat.next_message()
        if way == "reply":
            said = await mal.sends("hello, it is me", group)
            assert await house.says(ada, "/approve", chat=group, reply_to=said) == (
                f"✅ Mal (@mal{number}) is in."
            )
        else:
            assert await house.says(ada, f"/approve {way}") == f"✅ Mal (@mal{number}) is in."
        assert (await mal.chat.next_message()).text.startswith("🎉 You are in!")


async def test_a_decision_can_be_changed_by_command_and_is_told_again(house: House) -> None:
    ada, bea = await house.admin(), await house.member()
    assert await house.says(ada, "/deny @bea") == "🚫 Bea (@bea) stays out."
    assert (await bea.chat.next_message()).text == REFUSAL["en"]
    assert await house.says(ada, "/deny @bea") == "🚫 Bea (@bea) was already kept out by Ada."
    assert await house.says(ada, f"/approve {bea.id}") == "✅ Bea (@bea) is in."
    assert (await bea.chat.next_message()).text == WELCOME["en"]
    assert await house.says(bea, "/help")


async def test_who_is_meant_must_be_said_and_known(house: House, language: str) -> None:
    ada = await house.admin(language)
    asked = {
        "en": "Please say who: /approve @name, an id, or as a reply to them.",
        "fr": "Dites qui : /approve @nom, un identifiant, ou en réponse à la personne.",
    }[language]
    shown = await house.answer(ada, "/help")
    for text in ("/approve", "/deny", "/approve   "):
        assert await house.says(ada, text) == asked
    assert await house.says(ada, "/deny", reply_to=shown) == asked  # the bot itself
    for who in ("@nobody", "123456", "9" * 30, "<b>", "@", "Bea Smith"):
        assert (
            await house.says(ada, f"/approve {who}")
            == {
                "en": f"I do not know {who}. People are known to me once they have written to me.",
                "fr": f"Je ne connais pas {who}. Je connais les personnes qui m’ont déjà écrit.",
            }[language]
        )


async def test_admins_cannot_be_shut_out(two: House) -> None:
    ada, ben = await two.admin(), await second_admin(two)
    refusal = "Administrators are named in the settings and cannot be shut out here."
    for text in ("/deny @ada", f"/deny {ADMIN_ID}", "/deny @ben"):
        assert await two.says(ada, text) == refusal
    shown = await two.answer(ben, "/help")
    query = await ben.presses(shown, f"deny:{ADMIN_ID}", stale=True)
    assert query.answers
    assert (await two.figures(ada)).access == Access.APPROVED
    assert (await two.answer(ada, "/users")).text.startswith("👥 2 people")


async def test_admins_come_from_the_settings_at_every_start(
    sandbox: Sandbox, database_url: str
) -> None:
    async with running_bot(sandbox, database_url, start=False) as running:
        house = House(sandbox, running)
        ada, bea = await house.admin(), await house.member()
        await Person.filter(id=ada.id).update(access=Access.DENIED, is_admin=False)
        await Person.filter(id=bea.id).update(is_admin=True)
        await running.start()
        assert (await house.says(ada, "/users")).startswith("👥 2 people")
        assert await house.says(bea, "/users") == "Only administrators can do this."


# ---------------------------------------------------------------------------------- read afresh


async def test_who_is_denied_in_the_middle_of_it_is_stopped_at_once(house: House) -> None:
    house.fal.pace = "manual"
    ada, bea = await house.admin(), await house.member(dollars="1")
    status = await house.answer(bea, "/image a red fox")
    await house.fal.wait_for_requests()
    await house.says(ada, "/deny @bea")
    assert (await bea.chat.next_message()).text == REFUSAL["en"]
    await bea.sends("/image another one")
    query = await bea.presses(status, "✖️ Cancel")
    assert query.text == "This is not for you."
    assert len(house.fal.requests) == 1
    # What was ordered before is paid, so it is shown.
    house.fal.complete(house.fal.requests[0])
    await bea.chat.wait_for(lambda m: m is status and m.kind == "photo")


async def test_a_right_taken_away_on_another_process_is_gone_at_once(house: House) -> None:
    ada = await house.admin()
    assert (await house.says(ada, "/users")).startswith("👥")
    await Person.filter(id=ada.id).update(is_admin=False)
    assert await house.says(ada, "/users") == "Only administrators can do this."


# ------------------------------------------------------------------------------ /pending, /users


async def test_pending_shows_who_waits_the_longest_waiting_first(house: House) -> None:
    ada = await house.admin()
    assert await house.says(ada, "/pending") == "Nobody is waiting."
    for number, name in enumerate(("Zoe", "Abe")):
        await house.answer(house.stranger(name, 660 + number), "/start")
        await ada.chat.next_message()
    first = await house.answer(ada, "/pending")
    second = await ada.chat.next_message()
    assert first.text == "🔔 Zoe (@zoe, id 660) would like to use this bot."
    assert second.text == "🔔 Abe (@abe, id 661) would like to use this bot."
    query = await ada.presses(second, "✅ Approve")
    assert query.text == "✅ Abe (@abe) is in."
    again = await house.answer(ada, "/pending")
    assert again.text.startswith("🔔 Zoe")


async def test_users_shows_role_budget_and_spending_of_everyone(house: House) -> None:
    ada, _ = await house.admin(), await house.member(dollars="10")
    await house.answer(house.stranger(), "/start")
    await ada.chat.next_message()
    said = await house.says(ada, "/users")
    assert said.startswith("👥 3 people\n\nAda (@ada) · admin\nSpent: $0.00 · $0.00 in all\n")
    assert "\nBea (@bea) · member\n🟢 $10.00 of $10.00 left (100 %) · $0.00 in all" in said
    assert "\nMal (@mal) · waiting\nSpent: $0.00 · $0.00 in all" in said
    await house.says(ada, "/deny @mal")
    said = await house.says(ada, "/users")
    assert "\nMal (@mal) · denied\n" in said
    assert "· Ada: kept out · Mal" in said


async def test_users_are_shown_a_page_at_a_time_everyone_once(workbench: Bench) -> None:
    ada = workbench.telegram.person(id=ADMIN_ID, name="Ada", username="ada", language="en")
    for number in range(20):
        await Person.create(id=1000 + number, name=f"P{number:02}", access=Access.APPROVED)
    [page] = await workbench.hears_of(ada, "/users")
    seen = []
    for _ in range(3):
        assert page.text.startswith("👥 21 people\n\n")
        seen += [line.split()[0] for line in page.text.splitlines() if " · " in line][::2]
        if "▶️" in page.button_texts:
            await workbench.feels(ada, page, str(page.button("▶️")["callback_data"]))
    assert seen == ["Ada", *(f"P{number:02}" for number in range(20))]
    bea = workbench.telegram.person(id=1000, name="P00")
    query = await workbench.feels(bea, page, "users:0")
    assert query.text == "Only administrators can do this."


async def test_what_admins_do_is_refused_to_members(house: House, language: str) -> None:
    bea = await house.member(language=language)
    for command in ("pending", "approve @bea", "deny @bea", "users", "stats", "balance"):
        assert (
            await house.says(bea, f"/{command}")
            == {
                "en": "Only administrators can do this.",
                "fr": "Seuls les administrateurs peuvent faire cela.",
            }[language]
        )


async def test_one_press_lets_in_with_a_budget_to_start_with(house: House) -> None:
    ada = await house.admin()
    mal = house.stranger()
    await house.says(mal, "/start")
    request = await ada.chat.next_message()
    await ada.presses(request, "$5.00")
    assert "You are in" in (await mal.chat.next_message()).text
    assert (await mal.chat.next_message()).text == "💰 Ada has set your budget to $5.00."
    assert "$5.00 of $5.00 left (100 %)" in await house.says(mal, "/budget")
    # The same button again, or a made-up amount, changes nothing.
    await ada.presses(request, f"approve:{mal.id}:10", stale=True)
    assert "$5.00 of $5.00 left (100 %)" in await house.says(mal, "/budget")


async def test_a_budget_to_start_with_is_there_before_the_person_is_and_instead_of_the_default(
    sandbox: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[int | None] = []
    decide = AccessControl._decide

    async def watched(self: AccessControl, person_id: int, *how: Any) -> Decision:
        decided.append((await Person.get(id=person_id)).budget_nanos)
        return await decide(self, person_id, *how)

    monkeypatch.setattr(AccessControl, "_decide", watched)
    async with running_bot(sandbox, database_url, default_budget="2.50") as running:
        house = House(sandbox, running)
        ada, mal = await house.admin(), house.stranger()
        [request] = await request_of(house, mal, ada)
        await ada.presses(request, "$5.00")
        assert "You are in" in (await mal.chat.next_message()).text
        assert "set your budget to $5.00" in (await mal.chat.next_message()).text
        assert decided == [5 * 10**9]
        assert "$5.00 of $5.00 left" in await house.says(mal, "/budget")
        assert await LedgerEntry.filter(person_id=mal.id, kind="budget").count() == 1


async def test_a_name_cannot_turn_around_what_an_admin_reads(house: House) -> None:
    ada = await house.admin()
    mal = house.stranger("\u202eadA\u2066 \u05d3\u05df")
    [request] = await request_of(house, mal, ada)
    assert request.text.startswith("🔔 adA \u05d3\u05df (")
    nobody = house.stranger("\u202e\u2069", id=667)
    [request] = await request_of(house, nobody, ada)
    assert request.text.startswith("🔔 667 (")
