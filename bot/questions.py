"""What the bot asked and waits for: the reply to the message is the answer, for a few days."""

from __future__ import annotations

from datetime import timedelta

from db.models import Question
from db.sql import now

KEPT = timedelta(days=7)


async def keep(chat_id: int, message_id: int, person_id: int, about_id: int) -> None:
    """Remember that this message asked a person for the budget of `about_id`."""
    await Question.create(
        chat_id=chat_id,
        message_id=message_id,
        person_id=person_id,
        about_id=about_id,
        created_at=now(),
    )


async def about(chat_id: int, message_id: int, person_id: int) -> int | None:
    """Whose budget a message asked this person for; None if it asked them nothing."""
    question = await Question.get_or_none(
        chat_id=chat_id, message_id=message_id, person_id=person_id
    )
    return None if question is None else question.about_id


async def forget_old() -> int:
    """Delete questions that nobody answers any more; return how many."""
    return await Question.filter(created_at__lt=now() - KEPT).delete()
