"""The Telegram side: the wire, the order of updates, and what stands in the chats.

`Screen` is what a job needs of it, in no words of Telegram's.
"""

from __future__ import annotations

from typing import Protocol

from bot.fal.queue import Status
from db.models import ContentJob, Person


class Screen(Protocol):
    """Where people see their jobs; `bot.delivery` is the one on Telegram.

    Each call may be repeated. They raise `Unavailable` when it should be tried again later, and
    return False when the person cannot be reached for now.
    """

    async def announce(self, job: ContentJob, person: Person) -> bool: ...
    async def source(self, job: ContentJob) -> tuple[bytes, str]: ...
    def watch(self, job: ContentJob, person: Person) -> None: ...
    def progress(self, job_id: int, status: Status) -> None: ...
    async def show(self, job: ContentJob, person: Person) -> bool: ...
    async def tell(self, job: ContentJob, person: Person) -> bool: ...
