"""Who may do what: asking to be let in, approving and denying.

Access and role are read from the database at every update; what is decided on one process
counts at once on all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.errors import CannotDenyAdmin, NoSuchPerson
from bot.voice import name_of
from db import ledger
from db.actions import record
from db.models import Access, Person
from db.outbox import NewNotice, write_notices
from db.reads import Known, known
from db.sql import in_transaction, now
from db.steps import within
from db.together import Together

# `seen_at` is for people to read; writing it at every message would cost a commit each.
SEEN_EVERY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Profile:
    """What Telegram says of a person with every update (Bot API, `User`)."""

    id: int
    name: str
    username: str | None
    language: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a request to be let in. `changed` is False when it was decided before."""

    person: Person
    changed: bool


class AccessControl:
    """Lets people in or not. `admin_ids` are always approved and always administrators."""

    def __init__(self, admin_ids: Iterable[int], default_budget_nanos: int | None) -> None:
        self.admin_ids = frozenset(admin_ids)
        self._default_budget_nanos = default_budget_nanos
        self._known = Together(known)

    async def sync_admins(self) -> None:
        """Bring the database in line with the settings; the settings win."""
        await Person.filter(is_admin=True).exclude(id__in=self.admin_ids).update(is_admin=False)
        for admin_id in self.admin_ids:
            await Person.get_or_create(id=admin_id)
        await Person.filter(id__in=self.admin_ids).update(is_admin=True, access=Access.APPROVED)

    async def known(self, person_id: int, update_id: int) -> Known:
        """Who is behind an update, and whether it was acted on; read from the database."""
        return await self._known((person_id, update_id))

    async def recognise(self, profile: Profile, known: Person | None = None) -> Person:
        """The person behind an update, stored if new, brought up to date if changed.

        `known` is the person as read for this very update.
        """
        person = known or await self._stored(profile)
        told = {
            "name": profile.name,
            "username": profile.username,
            "client_language": profile.language,
        }
        changes: dict[str, object] = {
            column: value for column, value in told.items() if getattr(person, column) != value
        }
        if person.blocked_at is not None:
            # They write again: they can be written to again.
            changes["blocked_at"] = None
        if person.seen_at is None or now() - person.seen_at > SEEN_EVERY:
            changes["seen_at"] = now()
        if changes:
            await Person.filter(id=person.id).update(**changes)
            person.update_from_dict(changes)
        return person

    async def _stored(self, profile: Profile) -> Person:
        person, _ = await Person.get_or_create(
            id=profile.id,
            defaults={
                "name": profile.name,
                "username": profile.username,
                "client_language": profile.language,
                "seen_at": now(),
            },
        )
        return person

    async def ask(self, person: Person) -> bool:
        """Ask the admins to let a stranger in; False if they have been asked already."""
        async with in_transaction() as transaction:
            moment = now()
            asked = (
                await Person.filter(id=person.id, access=Access.STRANGER)
                .using_db(transaction)
                .update(access=Access.PENDING, asked_at=moment)
            )
            if asked:
                requests = [self._request(admin, person) for admin in self.admin_ids]
                await within(transaction, write_notices(requests, moment))
        return bool(asked)

    async def approve(
        self,
        person_id: int,
        admin_id: int,
        *,
        only_open: bool = False,
        budget_nanos: int | None = None,
    ) -> Decision:
        """Let a person in, with this budget or else the default one. Raises `NoSuchPerson`.

        With `only_open` what was decided before stays as it is. The budget is there ahead of the
        person: in between, and after a crash there, nothing would limit them.
        """
        nanos = self._default_budget_nanos if budget_nanos is None else budget_nanos
        waiting = Person.filter(id=person_id).exclude(
            access__in=_decided(Access.APPROVED, only_open)
        )
        if nanos is not None and await waiting.exists():
            origin = first_budget(person_id)
            await ledger.set_budget(person_id, nanos, actor_id=admin_id, origin=origin)
        return await self._decide(person_id, admin_id, Access.APPROVED, only_open)

    async def deny(self, person_id: int, admin_id: int, *, only_open: bool = False) -> Decision:
        """Keep a person out, `only_open` as above. Raises `NoSuchPerson`, or `CannotDenyAdmin`."""
        if person_id in self.admin_ids:
            raise CannotDenyAdmin
        return await self._decide(person_id, admin_id, Access.DENIED, only_open)

    async def pending(self) -> list[Person]:
        """Those who ask to be let in, the longest waiting first."""
        return await Person.filter(access=Access.PENDING).order_by("asked_at", "id")

    async def find(self, text: str) -> Person:
        """The person meant by an id or a `@name`. Raises `NoSuchPerson`."""
        name = text.strip().removeprefix("@")
        person = None
        if name.isascii() and name.isdecimal():
            person = await Person.get_or_none(id=int(name)) if int(name) < 2**63 else None
        elif name:
            # Names are handed on at Telegram: the one seen last has it now.
            person = await Person.filter(username__iexact=name).order_by("-seen_at").first()
        if person is None:
            raise NoSuchPerson(name=text.strip())
        return person

    async def _decide(
        self, person_id: int, admin_id: int, access: Access, only_open: bool
    ) -> Decision:
        async with in_transaction() as transaction:
            moment = now()
            changed = (
                await Person.filter(id=person_id)
                .exclude(access__in=_decided(access, only_open))
                .using_db(transaction)
                .update(access=access, decided_by=admin_id, decided_at=moment)
            )
            person = await Person.get_or_none(id=person_id, using_db=transaction)
            if person is None:
                raise NoSuchPerson(name=str(person_id))
            if changed:
                notice = NewNotice(person_id, access.value, {}, _occasion(access, person, moment))
                await within(transaction, write_notices([notice], moment))
                await within(transaction, record(admin_id, access.value, person_id))
        return Decision(person, bool(changed))

    @staticmethod
    def _request(admin_id: int, person: Person) -> NewNotice:
        content: dict[str, object] = {
            "person_id": person.id,
            "name": name_of(person),
            "username": person.username,
        }
        return NewNotice(admin_id, "access_request", content)


def first_budget(person_id: int) -> str:
    """The origin of the budget that somebody is let in with: being let in again renews none."""
    return f"default:{person_id}"


def _decided(access: Access, only_open: bool) -> tuple[Access, ...]:
    """The standings in which nothing is left to decide."""
    return (Access.APPROVED, Access.DENIED) if only_open else (access,)


def _occasion(access: Access, person: Person, moment: datetime) -> str:
    return f"{access.value}:{person.id}:{moment.isoformat()}"
