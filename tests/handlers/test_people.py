"""`/users`: everyone behind a button, with what an administrator can do for them."""

from __future__ import annotations

import re
from functools import partial

from bot.sandbox.telegram import Message
from db.audit import verify
from db.models import Access, LedgerEntry, Person, Question
from tests.handlers.bench import Bench
from tests.handlers.house import House
from tests.support.running import ADMIN_ID, let_in

DOLLAR = 10**9


def says(wanted: Message, text: str, message: Message) -> bool:
    return message is wanted and text in message.text


async def card_of(house: House, language: str = "en", name: str = "Bea") -> Message:
    """The message of `/users`, after the button of a person was pressed."""
    ada = await house.admin(language)
    page = await ada.chat.wait_for_text("^👥", after=await ada.sends("/users"))
    await ada.presses(page, name)
    await ada.chat.wait_for(partial(says, page, f"👤 {name}"))
    return page


async def test_a_person_has_a_card_with_all_that_is_known(house: House, language: str) -> None:
    bea = await house.member(language=language, dollars="2")
    await house.answer(bea, "/budget")
    card = await card_of(house, language)
    lines = card.text.splitlines()
    assert (
        lines[0]
        == {
            "en": "👤 Bea (@bea), id 701",
            "fr": "👤 Bea (@bea), identifiant 701",
        }[language]
    )
    assert lines[1] == {"en": "member", "fr": "membre"}[language]
    assert lines[2].startswith({"en": "Last seen: ", "fr": "Dernière visite : "}[language])
    assert lines[-1].startswith("🟢")
    assert house.telegram.complaints == []


async def test_what_admins_did_to_a_person_stands_behind_their_name(house: House) -> None:
    ada, bea = await house.admin(), await house.member()
    await house.member("Carl", 702)
    await house.says(ada, "/setbudget 3 @bea")
    await house.says(ada, "/setbudget 4 @carl")
    await house.says(ada, f"/deny {bea.id}")
    lines = (await card_of(house)).text.splitlines()
    told = lines[lines.index("Last decisions:") + 1 : -2]
    assert [line.partition(" · ")[2] for line in told] == [
        "Ada: kept out · Bea",
        "Ada: set the budget · Bea",
    ]


async def test_budgets_are_set_behind_buttons_and_the_person_hears_of_it(house: House) -> None:
    bea = await house.member(dollars="2")
    card = await card_of(house)
    ada = house.telegram.people[ADMIN_ID]
    query = await ada.presses(card, "$5.00")
    assert query.text == "✅ The budget of Bea is now $5.00."
    await ada.chat.wait_for(partial(says, card, "🟢 $5.00 of $5.00 left"))
    await bea.chat.wait_for_text(re.escape("Ada has set your budget to $5.00"))
    query = await ada.presses(card, "💰 No limit")
    assert query.text == "✅ The budget of Bea is removed."
    await bea.chat.wait_for_text("nothing is limited")
    assert (await house.figures(bea)).budget_nanos is None
    assert await verify(house.running.connection) == []


async def test_any_other_amount_is_asked_for_and_taken_from_the_reply(house: House) -> None:
    bea = await house.member()
    card = await card_of(house)
    ada = house.telegram.people[ADMIN_ID]
    await ada.presses(card, "💰 Other…")
    question = await ada.chat.wait_for_text(re.escape("How much for Bea?"))
    # What is no amount is explained, and the question stays open.
    await ada.sends("a lot", reply_to=question)
    await ada.chat.wait_for_text("could not read that as an amount")
    await ada.sends("12,50", reply_to=question)
    await ada.chat.wait_for_text(re.escape("The budget of Bea is now $12.50."))
    await bea.chat.wait_for_text(re.escape("Ada has set your budget to $12.50"))
    assert (await house.figures(bea)).budget_nanos == 12_500_000_000
    await ada.sends("off", reply_to=question)
    await ada.chat.wait_for_text(re.escape("The budget of Bea is removed."))


async def test_a_reply_to_anything_else_is_no_amount(house: House) -> None:
    bea = await house.member(dollars="2")
    ada = await house.admin()
    other = await house.answer(ada, "/help")
    offer = await house.answer(ada, "12.50", reply_to=other)
    assert offer.text == "Shall I make something of this?"
    assert (await house.figures(bea)).budget_nanos == 2 * DOLLAR


async def test_who_is_no_admin_any_more_answers_no_question(workbench: Bench) -> None:
    ada = workbench.telegram.person(id=ADMIN_ID, name="Ada", username="ada")
    bea = workbench.telegram.person(id=701, name="Bea", username="bea")
    await let_in(ada, is_admin=True)
    await let_in(bea)
    [card] = await workbench.hears_of(ada, "/users @bea")
    await workbench.feels(ada, card, "give:701:0:other")
    question = ada.chat.last
    await Person.filter(id=ada.id).update(is_admin=False)
    [answer] = await workbench.hears_of(ada, "5", reply_to=question)
    assert answer.text == "Only administrators can do this."
    for data in ("users:0", "user:701:0", "let:701:0:out", "give:701:0:5"):
        query = await workbench.feels(ada, card, data)
        assert query.text == "Only administrators can do this.", data
    stored = await Person.get(id=701)
    assert (stored.access, stored.budget_nanos) == (Access.APPROVED, None)
    assert await Question.all().count() == 1


async def test_people_are_let_in_and_kept_out_behind_buttons(house: House) -> None:
    mal = house.stranger()
    await house.answer(mal, "/start")
    card = await card_of(house, name="Mal")
    ada = house.telegram.people[ADMIN_ID]
    assert {"✅ Approve", "🚫 Deny"} <= set(card.button_texts)
    query = await ada.presses(card, "✅ Approve")
    assert query.text == "✅ Mal (@mal) is in."
    await mal.chat.wait_for_text(re.escape("You are in!"))
    await ada.chat.wait_for(lambda shown: shown is card and "✅ Approve" not in card.button_texts)
    await ada.presses(card, "🚫 Deny")
    await mal.chat.wait_for_text("not to let you in")
    await ada.chat.wait_for(lambda shown: shown is card and "🚫 Deny" not in card.button_texts)


async def test_administrators_are_not_kept_out_and_pages_are_found_again(house: House) -> None:
    for number in range(12):
        await house.member(f"Kid{number:02}", 800 + number)
    card = await card_of(house, name="Ada")
    assert not {"✅ Approve", "🚫 Deny"} & set(card.button_texts)
    ada = house.telegram.people[ADMIN_ID]
    await ada.presses(card, "◀️")
    await ada.chat.wait_for(partial(says, card, "👥 13 people"))
    await ada.presses(card, "▶️")
    await ada.chat.wait_for(partial(says, card, "Kid11"))
    await ada.presses(card, "Kid11")
    await ada.chat.wait_for(partial(says, card, "👤 Kid11"))
    await ada.presses(card, "◀️")
    await ada.chat.wait_for(partial(says, card, "Kid10"))
    query = await ada.presses(card, "user:999:0", stale=True)
    assert query.text == "This button no longer does anything."


async def test_somebody_is_let_in_with_any_other_budget(house: House) -> None:
    ada, mal = await house.admin(), house.stranger()
    await house.answer(mal, "/start")
    request = await ada.chat.next_message()
    await ada.presses(request, "✅ Other…")
    question = await ada.chat.wait_for_text(re.escape("How much for Mal?"))
    await mal.chat.wait_for_text(re.escape("You are in!"))
    await ada.sends("2.50", reply_to=question)
    await mal.chat.wait_for_text(re.escape("Ada has set your budget to $2.50"))


async def test_the_starting_budget_is_set_once_also_after_a_crash_in_between(
    workbench: Bench,
) -> None:
    ada = workbench.telegram.person(id=ADMIN_ID, name="Ada", username="ada")
    mal = workbench.telegram.person(id=666, name="Mal", username="mal")
    await let_in(ada, is_admin=True)
    await workbench.hears_of(mal, "/start")
    [request] = await workbench.hears_of(ada, "/pending")
    # The process died right after it let the person in; the press is acted on again.
    await workbench.services.access.approve(mal.id, ada.id, only_open=True)
    for _ in range(2):
        await workbench.feels(ada, request, "approve:666:5")
    assert (await Person.get(id=666)).budget_nanos == 5 * DOLLAR
    assert await LedgerEntry.filter(person_id=666).count() == 1
