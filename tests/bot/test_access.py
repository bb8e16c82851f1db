"""Letting people in: asked once, decided once, kept on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.access import AccessControl, Profile
from bot.errors import CannotDenyAdmin, NoSuchPerson
from db.connection import connect, migrate
from db.models import Access, AdminAction, LedgerEntry, Notice, Person

ADMINS = (1, 2)
DOLLAR = 10**9


def profile(person_id: int, **changes: str | None) -> Profile:
    """What Telegram says of somebody."""
    told: dict[str, str | None] = {"name": "Mal", "username": "mal", "language": "en", **changes}
    return Profile(person_id, str(told["name"]), told["username"], told["language"])


@pytest.fixture
async def access(database_url: str) -> AsyncIterator[AccessControl]:
    async with connect(database_url) as connection:
        await migrate(connection)
        control = AccessControl(ADMINS, None)
        await control.sync_admins()
        yield control


async def test_somebody_new_is_a_stranger(access: AccessControl) -> None:
    person = await access.recognise(profile(2**40))
    assert (person.access, person.is_admin) == (Access.STRANGER, False)
    assert person.seen_at is not None
    assert (await Person.get(id=2**40)).name == "Mal"


async def test_a_new_name_language_or_at_name_is_taken_over(access: AccessControl) -> None:
    await access.recognise(profile(5))
    await access.recognise(profile(5, name="Malcolm", username=None, language="fr"))
    person = await Person.get(id=5)
    assert (person.name, person.username, person.client_language) == ("Malcolm", None, "fr")


async def test_nothing_is_written_for_who_was_here_a_moment_ago(access: AccessControl) -> None:
    first = await access.recognise(profile(5))
    await access.recognise(profile(5))
    assert (await Person.get(id=5)).seen_at == first.seen_at


async def test_who_writes_again_can_be_written_to_again(access: AccessControl) -> None:
    person = await access.recognise(profile(5))
    await Person.filter(id=5).update(blocked_at=person.seen_at)
    assert (await access.recognise(profile(5))).blocked_at is None
    assert (await Person.get(id=5)).blocked_at is None


async def test_every_admin_is_asked_once_however_often_a_stranger_asks(
    access: AccessControl,
) -> None:
    person = await access.recognise(profile(5))
    asked = await asyncio.gather(*(access.ask(person) for _ in range(10)))
    assert sorted(asked) == [False] * 9 + [True]
    notices = await Notice.all().order_by("person_id")
    assert [(notice.person_id, notice.kind) for notice in notices] == [
        (1, "access_request"),
        (2, "access_request"),
    ]
    assert [one.id for one in await access.pending()] == [5]


@pytest.mark.parametrize("standing", [Access.PENDING, Access.APPROVED, Access.DENIED])
async def test_only_a_stranger_can_ask(access: AccessControl, standing: Access) -> None:
    person = await access.recognise(profile(5))
    await Person.filter(id=5).update(access=standing)
    assert not await access.ask(person)
    assert (await Person.get(id=5)).access == standing


async def test_a_decision_is_made_once_told_once_and_recorded(access: AccessControl) -> None:
    await access.recognise(profile(5))
    first = await access.approve(5, 1)
    second = await access.approve(5, 2)
    assert (first.changed, second.changed) == (True, False)
    assert second.person.decided_by == 1
    assert await Notice.filter(person_id=5, kind="approved").count() == 1
    assert [(a.admin_id, a.action, a.person_id) for a in await AdminAction.all()] == [
        (1, "approved", 5)
    ]


async def test_of_many_at_once_one_decides(access: AccessControl) -> None:
    for person_id in range(10, 16):
        await access.recognise(profile(person_id))
        decisions = await asyncio.gather(
            *(
                decide(person_id, admin_id, only_open=True)
                for admin_id, decide in ((1, access.approve), (2, access.deny)) * 3
            )
        )
        assert sum(decision.changed for decision in decisions) == 1
        assert await Notice.filter(person_id=person_id).count() == 1
        assert await AdminAction.filter(person_id=person_id).count() == 1


async def test_a_decision_can_be_changed_and_is_told_again(access: AccessControl) -> None:
    await access.recognise(profile(5))
    for decide, standing in ((access.approve, "approved"), (access.deny, "denied")) * 2:
        assert (await decide(5, 1)).changed
        assert (await Person.get(id=5)).access == standing
    kinds = [notice.kind for notice in await Notice.filter(person_id=5).order_by("id")]
    assert kinds == ["approved", "denied"] * 2


async def test_the_default_budget_is_given_once(access: AccessControl) -> None:
    generous = AccessControl(ADMINS, 5 * DOLLAR)
    await access.recognise(profile(5))
    await generous.approve(5, 1)
    assert (await Person.get(id=5)).budget_nanos == 5 * DOLLAR
    await Person.filter(id=5).update(spent_nanos=DOLLAR)
    await generous.deny(5, 1)
    await generous.approve(5, 2)
    assert (await Person.get(id=5)).spent_nanos == DOLLAR
    assert await LedgerEntry.filter(person_id=5, kind="budget").count() == 1


async def test_nobody_is_in_without_the_default_budget_not_even_for_a_moment_or_after_a_crash(
    access: AccessControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    generous = AccessControl(ADMINS, 5 * DOLLAR)
    await access.recognise(profile(5))
    with monkeypatch.context() as patch:
        patch.setattr("bot.access.ledger.set_budget", _dies)
        with pytest.raises(ConnectionError):
            await generous.approve(5, 1)
    assert (await Person.get(id=5)).access != Access.APPROVED
    with monkeypatch.context() as patch:
        patch.setattr("bot.access.record", _dies)
        with pytest.raises(ConnectionError):
            await generous.approve(5, 1)
    assert (await Person.get(id=5)).access != Access.APPROVED
    assert (await generous.approve(5, 1)).changed
    assert (await Person.get(id=5)).budget_nanos == 5 * DOLLAR


def _dies(*_: object, **__: object) -> None:
    raise ConnectionError


async def test_nobody_decides_about_an_admin_or_about_nobody(access: AccessControl) -> None:
    with pytest.raises(CannotDenyAdmin):
        await access.deny(2, 1)
    with pytest.raises(CannotDenyAdmin):
        await access.deny(2, 1, only_open=True)
    for decide in (access.approve, access.deny):
        with pytest.raises(NoSuchPerson):
            await decide(404, 1)
    assert await AdminAction.all().count() == 0


async def test_the_settings_say_who_is_admin(access: AccessControl) -> None:
    await AccessControl((2, 3), None).sync_admins()
    admins = await Person.filter(is_admin=True).order_by("id")
    assert [(admin.id, admin.access) for admin in admins] == [
        (2, Access.APPROVED),
        (3, Access.APPROVED),
    ]
    assert (await Person.get(id=1)).access == Access.APPROVED


async def test_a_person_is_found_by_id_or_name(access: AccessControl) -> None:
    await access.recognise(profile(5, username="Mal_Reynolds"))
    for text in ("5", " 5 ", "@Mal_Reynolds", "mal_reynolds", "@MAL_REYNOLDS"):
        assert (await access.find(text)).id == 5
    for text in ("", "@", "6", "@mal", "@mal%", "@mal_reynold_", "9" * 40, "٥", "-5", "5 5"):
        with pytest.raises(NoSuchPerson):
            await access.find(text)


async def test_a_name_that_was_handed_on_means_who_has_it_now(access: AccessControl) -> None:
    await access.recognise(profile(5, username="mal"))
    await access.recognise(profile(6, username="mal"))
    assert (await access.find("@mal")).id == 6
