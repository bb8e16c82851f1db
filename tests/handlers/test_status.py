"""The status message: steps where the model logs them, and what a wish to stop changes."""

from __future__ import annotations

from typing import Any

import pytest

from bot.fal.queue import InProgress
from bot.screen.jobwords import filled_bar, steps_of
from tests.handlers.house import House


@pytest.mark.parametrize(
    ("lines", "steps"),
    [
        ([" 43%|████      | 12/28 [00:03<00:04,  4.0it/s]"], (12, 28)),
        (["Loading pipeline components: 100%|██████████| 7/7", "  4%|▍| 1/28"], (1, 28)),
        (["  0%|          | 0/28", " 50%|█████     | 14/28\r100%|██████████| 28/28"], (28, 28)),
        (["100%|██████████| 28/28", "saving 1/2 of the file"], (28, 28)),
        (["step 12/28", "https://fal.ai/1/2"], None),
        (["120%|████| 30/28"], None),
        (["100%|██████████| 1/1"], None),
        ([" 43%|████      | ٣/28"], None),
        ([], None),
    ],
)
def test_steps_are_read_where_the_logs_tell_them(
    lines: list[str], steps: tuple[int, int] | None
) -> None:
    assert steps_of(InProgress([{"message": line} for line in lines])) == steps


@pytest.mark.parametrize(
    "logs", [[None], ["12/28"], [{"message": 7}], [{}], [{"message": "%|" * 999}]]
)
def test_logs_of_any_shape_do_no_harm(logs: list[Any]) -> None:
    assert steps_of(InProgress(logs)) is None


def test_the_bar_is_as_full_as_the_steps_are_done() -> None:
    assert filled_bar(0, 28) == "▱" * 10
    assert filled_bar(14, 28) == "▰" * 5 + "▱" * 5
    assert filled_bar(28, 28) == "▰" * 10


async def test_the_status_message_counts_the_steps(house: House) -> None:
    house.fal.pace = "manual"
    bea = await house.member(dollars="1")
    await bea.sends("/image a red fox")
    [request] = await house.fal.wait_for_requests(1)
    house.fal.start(request)
    house.fal.progress(request, " 43%|████      | 12/28 [00:03<00:04,  4.0it/s]")
    shown = await bea.chat.wait_for_text(r"▰▰▰▰▱▱▱▱▱▱ 12/28 · 0:0\d")
    assert shown.button_texts == ["✖️ Cancel"]
    house.fal.complete(request)
    await bea.chat.wait_for(lambda message: message is shown and message.kind == "photo")


async def test_a_wish_to_stop_stands_in_the_message_and_its_button_is_gone(house: House) -> None:
    house.fal.pace = "manual"
    bea = await house.member(dollars="1")
    status = await house.answer(bea, "/image a red fox")
    [request] = await house.fal.wait_for_requests(1)
    house.fal.start(request)
    await house.fal.wait_for(lambda: any(call.operation == "stream" for call in house.fal.calls))
    await bea.presses(status, "✖️ Cancel")
    await bea.chat.wait_for_text("Cancelling…")
    assert status.buttons == []
    house.fal.complete(request)
    await bea.chat.wait_for(lambda message: message is status and message.kind == "photo")


async def test_while_fal_works_on_it_the_chat_goes_on_saying_so(house: House) -> None:
    house.fal.pace = "manual"
    bea = await house.member(dollars="1")
    await bea.sends("/image a red fox")
    [request] = await house.fal.wait_for_requests(1)
    house.fal.start(request)
    await house.telegram.wait_for(lambda: len(bea.chat.actions) >= 2)
    assert {action for action, _ in bea.chat.actions} == {"upload_photo"}
    house.fal.complete(request)
    await bea.chat.wait_for_media()
