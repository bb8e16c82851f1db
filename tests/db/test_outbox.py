"""Notices are written where they are caused, once for each occasion."""

from __future__ import annotations

import pytest

from db.models import Notice
from db.outbox import NewNotice, write_notices_now
from tests.db.books import new_person

pytestmark = pytest.mark.usefixtures("database")


async def test_a_notice_goes_to_the_person_unless_another_chat_is_meant() -> None:
    ada = await new_person()
    await write_notices_now(
        [
            NewNotice(ada.id, "approved", {"name": "Ada é 🦊"}),
            NewNotice(ada.id, "ready", {}, chat_id=-1001234567890),
        ]
    )
    notices = await Notice.all().order_by("id")
    assert [notice.chat_id for notice in notices] == [ada.id, -1001234567890]
    assert notices[0].content == {"name": "Ada é 🦊"}
    assert all(notice.due_at == notice.created_at for notice in notices)
    assert all(notice.attempts == 0 and notice.closed_at is None for notice in notices)


async def test_an_occasion_makes_one_notice_and_no_occasion_as_many_as_are_written() -> None:
    ada = await new_person()
    for _ in range(2):
        await write_notices_now(
            [NewNotice(ada.id, "low", {}, "low:1"), NewNotice(ada.id, "alert", {})]
        )
    kinds = sorted(notice.kind for notice in await Notice.all())
    assert kinds == ["alert", "alert", "low"]


async def test_a_notice_that_cannot_be_written_takes_the_others_with_it() -> None:
    ada = await new_person()
    with pytest.raises(TypeError):
        await write_notices_now(
            [NewNotice(ada.id, "low", {}), NewNotice(ada.id, "low", {"what": object()})]
        )
    assert await Notice.all().count() == 0
