"""`/history`, its pages and its CSV; `/cancel`."""

from __future__ import annotations

import csv
import io
from functools import partial
from typing import Any

import pytest

from bot.sandbox.telegram import Message
from bot.sandbox.telegram import Person as Visitor
from db.models import ContentJob, CostSource, JobState
from db.sql import now
from handlers.history import to_csv
from tests.handlers.house import House
from tests.support.fal import calls


async def jobs_of(person: Visitor, count: int, **values: object) -> None:
    """So many jobs that are over, without a word to fal."""
    moment = now()
    for number in range(1, count + 1):
        known: dict[str, Any] = {
            "person_id": person.id,
            "origin": f"test:{person.id}:{number}",
            "chat_id": person.id,
            "kind": "image",
            "endpoint": "fal-ai/flux/dev",
            "prompt": f"fox number {number}",
            "arguments": {},
            "state": JobState.DELIVERED,
            "unit": "megapixels",
            "unit_price_nanos": 25_000_000,
            "price_origin": "api",
            "quote_nanos": 25_000_000,
            "cost_nanos": 25_000_000,
            "cost_source": CostSource.UNITS,
            "is_held": False,
            "created_at": moment,
            "shown_at": moment,
        }
        await ContentJob.create(**known | values)


async def test_nothing_yet_says_what_to_try(house: House, language: str) -> None:
    bea = await house.member(language=language)
    message = await house.answer(bea, "/history")
    assert (
        message.text
        == {
            "en": "Nothing yet. Try /image a lighthouse at dawn.\nSpent: $0.00",
            "fr": "Encore rien. Essayez /image un phare à l’aube.\nDépensé : 0,00 $",
        }[language]
    )
    assert message.buttons == []


async def test_every_job_stands_there_once_the_latest_first_a_page_at_a_time(house: House) -> None:
    bea = await house.member(dollars="1")
    await jobs_of(bea, 19)
    page = await house.answer(bea, "/history")
    seen = []
    for first, press in ((19, "▶️"), (11, "▶️"), (3, "◀️")):
        await bea.chat.wait_for_text(f"fox number {first}\n")
        assert page.text.startswith("📜 19 jobs\n\n")
        assert page.text.endswith("\n\n🟢 $1.00 of $1.00 left (100 %)")
        lines = page.text.split("\n\n")[1].splitlines()
        assert len(lines) <= 8
        seen += [line.rpartition(" · ")[2] for line in lines]
        await bea.presses(page, press)
    assert seen == [f"fox number {number}" for number in range(19, 0, -1)]
    await bea.chat.wait_for_text("fox number 11\n")


async def test_a_line_has_state_number_date_cost_and_what_was_typed(house: House) -> None:
    bea = await house.member()
    await jobs_of(bea, 1, prompt="a <b>fox</b>\n& " + "x" * 100, cost_nanos=30_000_000)
    line = (await house.says(bea, "/history")).splitlines()[2]
    mark, number, rest = line.split(" ", 2)
    assert (mark, number) == ("✅", "1")
    assert rest.endswith("· $0.03 · a <b>fox</b> & " + "x" * 44 + "…")


async def test_a_result_is_shown_again(house: House) -> None:
    bea = await house.member()
    await bea.sends("/image a red fox")
    picture = await bea.chat.wait_for_media()
    await bea.sends("/video a red fox runs")
    video = await bea.chat.wait_for_media("video")
    await bea.sends("/history")
    page = await bea.chat.wait_for_text("^📜 2 jobs")
    assert page.button_texts == ["🎬 2", "🖼 1", "🖼 Show them all", "CSV"]
    await bea.presses(page, "🖼 1")
    again = await bea.chat.wait_for_media(after=page)
    assert again.media == picture.media
    await bea.presses(page, "🎬 2")
    again = await bea.chat.wait_for_media("video", after=page)
    assert again.media == video.media


async def test_all_of_it_comes_as_csv_that_no_program_runs(house: House) -> None:
    bea = await house.member()
    await jobs_of(bea, 2, prompt='=HYPERLINK("http://x","a"), "b"\nc')
    await jobs_of(await house.member("Carl", 702), 1, prompt="a secret garden")
    page = await house.answer(bea, "/history")
    await bea.presses(page, "CSV")
    export = await bea.chat.wait_for_media("document")
    text = (export.media or b"").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == 2
    assert rows[0]["prompt"] == '\'=HYPERLINK("http://x","a"), "b"\nc'
    assert (rows[0]["cost_usd"], rows[0]["quote_usd"]) == ("0.025", "0.025")
    assert text.count("\r\n") == 3


@pytest.mark.parametrize("start", [*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_of_the_csv_is_a_formula(start: str) -> None:
    job = ContentJob(
        id=1,
        created_at=now(),
        kind="image",
        endpoint="fal-ai/flux/dev",
        state=JobState.FAILED,
        quote_nanos=1,
        cost_nanos=None,
        prompt=f"{start}1+1",
    )
    [row] = list(csv.reader(io.StringIO(to_csv([job]), newline="")))[1:]
    assert row[-1] == f"'{start}1+1"
    assert row[5] == "0.000000001"


# ---------------------------------------------------------------------------------------- /cancel


async def test_with_nothing_under_way_there_is_nothing_to_cancel(
    house: House, language: str
) -> None:
    bea = await house.member(language=language)
    assert (
        await house.says(bea, "/cancel")
        == {
            "en": "Nothing of yours is under way.",
            "fr": "Vous n’avez rien en cours.",
        }[language]
    )


async def watched(house: House, count: int) -> None:
    """Wait until the bot follows so many requests at fal."""

    def streams() -> int:
        return calls(house.fal, "stream")

    await house.fal.wait_for(lambda: streams() >= count, what=f"{count} streams")


async def test_one_job_is_cancelled_at_once_and_costs_nothing(house: House, language: str) -> None:
    house.fal.pace = "manual"
    bea = await house.member(language=language, dollars="1")
    status = await house.answer(bea, "/image a red fox")
    await watched(house, 1)
    assert (
        await house.says(bea, "/cancel")
        == {
            "en": "🚫 Cancelled. It cost nothing.\n🟢 $1.00 of $1.00 left (100 %)",
            "fr": "🚫 Annulé. Cela n’a rien coûté.\n🟢 1,00 $ sur 1,00 $ restants (100 %)",
        }[language]
    )
    await bea.chat.wait_for(lambda m: m is status and m.text.startswith("🚫") and not m.buttons)
    [request] = house.fal.requests
    assert request.state == "removed"
    assert (await house.figures(bea)).held_nanos == 0


async def test_of_several_jobs_one_is_chosen(house: House) -> None:
    house.fal.pace = "manual"
    bea = await house.member(dollars="1")
    first = await house.answer(bea, "/image a red fox " + "x" * 100)
    await house.answer(bea, "/image a blue\nfox")
    await watched(house, 2)
    question = await house.answer(bea, "/cancel")
    assert question.text == "Which one?"
    assert question.button_texts == ["🖼 a red fox " + "x" * 29 + "…", "🖼 a blue fox"]
    query = await bea.presses(question, "🖼 a red fox")
    assert query.text == "🚫 Cancelled. It cost nothing."
    await bea.chat.wait_for(lambda m: m is first and m.text.startswith("🚫 Cancelled."))
    states = sorted(request.state for request in house.fal.requests)
    assert states == ["queued", "removed"]


async def test_what_runs_already_is_asked_to_stop_and_its_bill_counts(house: House) -> None:
    house.fal.pace = "manual"
    bea = await house.member(dollars="1")
    status = await house.answer(bea, "/image a red fox")
    await watched(house, 1)
    [request] = house.fal.requests
    house.fal.start(request)
    said = await house.says(bea, "/cancel")
    assert said.splitlines()[0] == (
        "I have asked fal to stop. What fal bills for it, if anything, is booked."
    )
    house.fal.complete(request)
    await bea.chat.wait_for(lambda m: m is status and m.kind == "photo")
    assert (await house.figures(bea)).spent_nanos == 25_000_000


# ---------------------------------------------------------------------------- all of a page


async def test_the_pictures_of_a_page_come_as_an_album_the_oldest_first(
    house: House, language: str
) -> None:
    bea = await house.member(language=language, dollars="5")
    for command in ("/image a red fox", "/image a blue fox", "/video waves"):
        sent = await bea.sends(command)
        await bea.chat.wait_for(partial(is_result, sent.id))
    page = await bea.chat.wait_for_text("^📜", after=await bea.sends("/history"))
    await bea.presses(page, "album:0")
    await bea.chat.wait_for(lambda shown: shown.album is not None and shown.kind == "video")
    album = [message for message in bea.chat.from_bot if message.album is not None]
    price = {"en": "$0.025", "fr": "0,025 $"}[language]
    assert [message.kind for message in album] == ["photo", "photo", "video"]
    assert [message.text for message in album[:2]] == [f"1 · {price}", f"2 · {price}"]
    assert house.telegram.complaints == []


async def test_what_no_album_takes_comes_one_by_one(house: House) -> None:
    bea = await house.member(dollars="5")
    for number in range(2):
        sent = await bea.sends(f"/image fox {number}")
        await bea.chat.wait_for(partial(is_result, sent.id))
    # One of them was too large for a photo: it is a file.
    sent = await bea.sends("/history")
    page = await bea.chat.wait_for_text("^📜", after=sent)
    file = house.telegram.files.add("document", b"a large picture", "fox.png")
    await ContentJob.filter(id=1).update(file_id=file.file_id)
    await bea.presses(page, "album:0")
    await bea.chat.wait_for(lambda shown: shown.kind == "photo" and shown.id > page.id)
    kinds = [message.kind for message in bea.chat.from_bot if message.id > page.id]
    assert kinds == ["document", "photo"]


async def test_a_single_result_needs_no_album(house: House) -> None:
    bea = await house.member()
    await jobs_of(bea, 3)
    page = await house.answer(bea, "/history")
    assert not any("album" in str(button.get("callback_data")) for button in page.buttons)
    query = await bea.presses(page, "album:0", stale=True)
    assert query.text == "That result is not here any more."


def is_result(after: int, message: Message) -> bool:
    return message.id > after and message.kind in ("photo", "video")
