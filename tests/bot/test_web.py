"""The HTTP side of a whole bot: callbacks of Telegram and fal, true and false, health, metrics."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.fal.callbacks import REFETCHES
from bot.sandbox import Sandbox
from bot.sandbox.fal.jobs import FalRequest
from bot.sandbox.telegram import Person
from bot.serving import StartError
from bot.settings import Address
from db.models import ContentJob, JobState, SeenUpdate
from tests.replicas.balancer import RoundRobin
from tests.support.ports import free_ports
from tests.support.running import Running, assert_books, running_bot
from tests.support.waiting import eventually

DOLLAR = 10**9
PUBLIC = "https://bot.example"
LARGE = b"x" * (1024 * 1024 + 1)


class Outside:
    """The bot as it is seen under its public address."""

    def __init__(self, running: Running, client: httpx.AsyncClient) -> None:
        self.running = running
        self._client = client

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        """The status of the answer to a callback."""
        return (await self._client.post(PUBLIC + path, content=body, headers=headers)).status_code

    async def get(self, path: str) -> httpx.Response:
        return await self._client.get(PUBLIC + path)

    async def count(self, name: str, **labels: str) -> float:
        """A figure of `/metrics`; 0 where there is none."""
        families = text_string_to_metric_families((await self.get("/metrics")).text)
        samples = [sample for family in families for sample in family.samples]
        found = [s.value for s in samples if s.name == name and s.labels == labels]
        return found[0] if found else 0.0

    @property
    def secret(self) -> dict[str, str]:
        """The header that Telegram sends along."""
        return {"X-Telegram-Bot-Api-Secret-Token": self.running.settings.telegram_secret}


@asynccontextmanager
async def called_bot(sandbox: Sandbox, database_url: str) -> AsyncIterator[Outside]:
    """A bot that Telegram and fal call, by way of a proxy that is known by its https address."""
    [port] = free_ports()
    proxy = RoundRobin([port])
    sandbox.telegram.updates._client = httpx.AsyncClient(transport=proxy)
    sandbox.fal.webhooks._client = httpx.AsyncClient(transport=proxy)
    async with (
        running_bot(
            sandbox, database_url, public_url=PUBLIC, listen=f"127.0.0.1:{port}"
        ) as running,
        httpx.AsyncClient(transport=proxy) as client,
    ):
        yield Outside(running, client)


@pytest.fixture
async def outside_view(sandbox: Sandbox, ada: Person, database_url: str) -> AsyncIterator[Outside]:
    async with called_bot(sandbox, database_url) as view:
        await view.running.let_in(ada, budget_nanos=DOLLAR)
        yield view


async def submitted(sandbox: Sandbox, ada: Person) -> FalRequest:
    """A picture that is on its way, and that fal will not call about by itself."""
    sandbox.fal.pace = "manual"
    sandbox.fal.webhooks.enabled = False
    await ada.sends("/image a red fox")
    [request] = await sandbox.fal.wait_for_requests(1)
    sandbox.fal.start(request)
    return request


async def state() -> JobState:
    job = await ContentJob.get()
    return job.state


# -------------------------------------------------------------------------------------- fal


async def test_a_callback_settles_its_job_once_however_often_it_comes(
    sandbox: Sandbox, ada: Person, outside_view: Outside
) -> None:
    request = await submitted(sandbox, ada)
    sandbox.fal.complete(request)
    first = await sandbox.fal.webhooks.send(request)
    await outside_view.running.all_shown()
    again = [await sandbox.fal.webhooks.send(request) for _ in range(3)]
    assert [first, *again] == [200, 200, 200, 200]
    [job] = await outside_view.running.all_shown()
    assert job.cost_nanos == sandbox.fal.bill_total_nanos
    assert [message.kind for message in ada.chat.from_bot] == ["photo"]
    assert await outside_view.count("bot_callbacks_total", sender="fal", outcome="taken") == 4
    await assert_books(outside_view.running.connection)


async def test_in_callback_mode_a_job_asks_fal_for_nothing_but_its_result(
    sandbox: Sandbox, ada: Person, outside_view: Outside
) -> None:
    sandbox.fal.pace = "instant"
    sandbox.fal.calls.clear()
    await ada.sends("/image a red fox")
    await outside_view.running.all_shown()
    asked = [call.operation for call in sandbox.fal.calls]
    assert sorted(set(asked) & {"submit", "stream", "status", "result"}) == ["result", "submit"]
    assert asked.count("submit") == asked.count("result") == 1


async def test_a_callback_that_is_not_genuine_does_nothing_and_is_counted(
    sandbox: Sandbox, ada: Person, outside_view: Outside
) -> None:
    request = await submitted(sandbox, ada)
    job_id = (await ContentJob.get()).id
    webhooks, known = sandbox.fal.webhooks, request.request_id
    body, seconds = webhooks.body(request), int(sandbox.fal.clock.now().timestamp())
    genuine = webhooks.sign(known, body)
    signature, time = "X-Fal-Webhook-Signature", "X-Fal-Webhook-Timestamp"
    cases = {
        "a made-up signature": (body, {**genuine, signature: "00" * 64}, 401),
        "no signature": (body, {k: v for k, v in genuine.items() if k != signature}, 401),
        "a signature that is not hex": (body, {**genuine, signature: "zz"}, 401),
        "no time": (body, {**genuine, time: "soon"}, 401),
        "a time beyond all measure": (body, {**genuine, time: "9" * 400}, 401),
        "too old": (body, webhooks.sign(known, body, seconds - 302), 401),
        "from the future": (body, webhooks.sign(known, body, seconds + 302), 401),
        "another body": (body + b" ", genuine, 401),
        "too large": (LARGE, webhooks.sign(known, LARGE), 413),
        "no JSON": (b"OK", webhooks.sign(known, b"OK"), 400),
        "JSON of something else": (b'["OK"]', webhooks.sign(known, b'["OK"]'), 400),
        "JSON without a request": (b"{}", webhooks.sign(known, b"{}"), 400),
        "about another request": (body, webhooks.sign("another-request", body), 404),
    }
    for name, (sent, headers, status) in cases.items():
        assert await outside_view.post(f"/fal/{job_id}", sent, headers) == status, name
    assert await outside_view.post(f"/fal/{job_id + 1}", body, genuine) == 404
    assert await outside_view.post(f"/fal/{2**63}", body, genuine) == 404
    assert await outside_view.post("/fal/none", body, genuine) == 404
    assert await outside_view.post(f"/fal/{'9' * 5000}", body, genuine) == 404
    assert await state() == JobState.SUBMITTED
    counts = {"forged": 8, "malformed": 3, "too large": 1, "unknown job": 2, "unexpected": 3}
    for outcome, count in counts.items():
        counted = await outside_view.count("bot_callbacks_total", sender="fal", outcome=outcome)
        assert counted == count, outcome


async def test_fals_keys_are_fetched_again_for_an_unknown_signature_but_not_for_each(
    sandbox: Sandbox, ada: Person, outside_view: Outside
) -> None:
    request = await submitted(sandbox, ada)
    body = sandbox.fal.webhooks.body(request)
    forged = {**sandbox.fal.webhooks.sign(request.request_id, body)}
    forged["X-Fal-Webhook-Signature"] = "00" * 64
    for _ in range(20):
        assert await outside_view.post("/fal/1", body, forged) == 401
    fetched = sum(call.operation == "jwks" for call in sandbox.fal.calls)
    assert 1 < fetched <= 1 + REFETCHES[0]


async def test_a_key_that_fal_has_just_changed_is_known_at_once(
    sandbox: Sandbox, ada: Person, outside_view: Outside
) -> None:
    request = await submitted(sandbox, ada)
    assert await sandbox.fal.webhooks.send(request) == 200
    del sandbox.fal.webhooks._key
    assert await sandbox.fal.webhooks.send(request) == 200


async def test_a_callback_that_never_comes_is_made_up_for(
    sandbox: Sandbox, ada: Person, outside_view: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.calls.LOOK_AFTER_SECONDS", 0.05)
    request = await submitted(sandbox, ada)
    sandbox.fal.complete(request)
    [job] = await outside_view.running.all_shown()
    assert job.state == JobState.DELIVERED


async def test_a_call_is_remembered_until_its_job_is_settled(
    sandbox: Sandbox, ada: Person, outside_view: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)
    sandbox.fal.faults.add("garbage", "result", times=3)
    request = await submitted(sandbox, ada)
    sandbox.fal.complete(request)
    assert await sandbox.fal.webhooks.send(request) == 200
    await outside_view.running.all_shown()
    assert not any(call.operation == "status" for call in sandbox.fal.calls)


async def test_what_was_complete_before_the_start_is_looked_at_and_not_waited_for(
    sandbox: Sandbox, ada: Person, outside_view: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.calls.JUST_SENT", timedelta(0))
    request = await submitted(sandbox, ada)
    running = outside_view.running
    await running.stop()
    sandbox.fal.complete(request)
    await running.start()
    [job] = await running.all_shown()
    assert job.state == JobState.DELIVERED


async def test_a_lost_answer_is_known_again_by_the_job_in_the_callbacks_url(
    sandbox: Sandbox, ada: Person, outside_view: Outside
) -> None:
    sandbox.fal.faults.add("answer_lost", "submit")
    sandbox.fal.faults.add("unavailable", "requests", times=None)
    sandbox.fal.pace = "instant"
    await ada.sends("/image a red fox")
    [job] = await outside_view.running.all_shown()
    assert job.state == JobState.DELIVERED
    assert len(sandbox.fal.requests) == 1


async def test_another_customer_of_fal_cannot_pass_off_a_request_as_that_of_a_job(
    sandbox: Sandbox, ada: Person, outside_view: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fal signs for everybody who asks it to call this address."""
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)
    sandbox.fal.pace, sandbox.fal.webhooks.enabled = "manual", False
    sandbox.fal.faults.add("answer_lost", "submit")
    await ada.sends("/image a red fox")
    [request] = await sandbox.fal.wait_for_requests(1)

    async def is_looked_for() -> bool:
        return await state() == JobState.UNKNOWN

    await eventually(is_looked_for, 10, "a job whose answer was lost")
    job_id, foreign = (await ContentJob.get()).id, b'{"request_id": "foreign"}'
    signed = sandbox.fal.webhooks.sign("foreign", foreign)
    for word in ("", "?word=", "?word=0123456789abcdef0123456789abcdef", "?word=%C3%A9"):
        assert await outside_view.post(f"/fal/{job_id}{word}", foreign, signed) == 404
    assert await state() == JobState.UNKNOWN
    sandbox.fal.start(request)
    sandbox.fal.complete(request)
    assert await sandbox.fal.webhooks.send(request) == 200
    [job] = await outside_view.running.all_shown()
    assert (job.request_id, job.state) == (request.request_id, JobState.DELIVERED)


# --------------------------------------------------------------------------------- Telegram


async def test_an_update_is_acted_on_once_however_often_it_is_delivered(
    sandbox: Sandbox, ada: Person, outside_view: Outside
) -> None:
    await ada.sends("/budget")
    await ada.chat.wait_for_text("Spent")
    stored = await SeenUpdate.all().order_by("-id").first()
    assert stored is not None
    update = (
        f'{{"update_id": {stored.id}, "message": {{"message_id": 1, "date": 1, "chat": '
        f'{{"id": {ada.id}, "type": "private"}}, "from": {{"id": {ada.id}, "is_bot": false, '
        f'"first_name": "Ada"}}, "text": "/setbudget 5"}}}}'
    ).encode()
    assert await outside_view.post("/telegram", update, outside_view.secret) == 200
    counted = await outside_view.count("bot_callbacks_total", sender="telegram", outcome="repeated")
    assert counted == 1
    assert len(ada.chat.from_bot) == 1


async def test_what_is_no_update_of_telegram_is_refused_and_counted(
    outside_view: Outside,
) -> None:
    secret, one = outside_view.secret, b'{"update_id": 1}'
    guessed = dict.fromkeys(secret, "guess")
    for headers in ({}, guessed):
        assert await outside_view.post("/telegram", one, headers) == 401
    for body in (
        b"",
        b"<html>",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"update_id": "1"}',
        b'{"update_id": true}',
        b'{"update_id": 1, "message": "/start"}',
        b'{"update_id": 1, "callback_query": [1]}',
        b'{"update_id": 1e400}',
        b'{"update_id": -1}',
        b'{"update_id": 9223372036854775808}',
    ):
        assert await outside_view.post("/telegram", body, secret) == 400, body[:40]
    assert await outside_view.post("/telegram", LARGE, secret) == 413
    counts = {"wrong secret": 2, "malformed": 12, "too large": 1}
    for outcome, count in counts.items():
        found = await outside_view.count("bot_callbacks_total", sender="telegram", outcome=outcome)
        assert found == count, outcome
    assert not await SeenUpdate.filter(id=1).exists()


async def test_an_update_that_cannot_be_read_is_taken_and_does_nothing(
    ada: Person, outside_view: Outside
) -> None:
    update = b'{"update_id": 77, "message": {"text": "/budget"}}'
    assert await outside_view.post("/telegram", update, outside_view.secret) == 200
    assert (await SeenUpdate.get(id=77)).body is None
    await ada.sends("/budget")
    await ada.chat.wait_for_text("Spent")


# ------------------------------------------------------------------------ health and metrics


async def test_health_and_metrics_are_there_without_a_public_url(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    [port] = free_ports()
    async with (
        running_bot(sandbox, database_url, listen=f"127.0.0.1:{port}"),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await client.get(path)).status_code == 200, path
        for path in ("/telegram", "/fal/1"):
            assert (await client.post(path)).status_code == 404, path


async def test_what_happens_is_counted_without_saying_to_whom(
    sandbox: Sandbox, ada: Person, outside_view: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.fal.pace = "instant"
    sandbox.fal.faults.add("unavailable", "submit")
    await ada.sends("/image a blue lobster")
    await outside_view.running.all_shown()
    monkeypatch.setattr("bot.screen.flood.FIRST_PAUSE_SECONDS", 0)
    sandbox.telegram.faults.add("server_error", "sendMessage")
    await ada.sends("/image a red fox")
    await outside_view.running.all_shown(2)
    assert await outside_view.count("bot_fal_errors_total", error="503") == 1
    assert await outside_view.count("bot_telegram_errors_total", error="NetworkError") == 1
    assert await outside_view.count("bot_updates_total") == 2
    assert await outside_view.count("bot_charged_dollars") == 0.025
    assert await outside_view.count("bot_update_errors_total") == 0
    lines = (await outside_view.get("/metrics")).text.lower().splitlines()
    text = "\n".join(line.rpartition(" ")[0] for line in lines)  # without the figures
    for private in ("ada", str(ada.id), "fox", "lobster"):
        assert private not in text


async def test_a_bot_that_is_not_ready_says_so(outside_view: Outside) -> None:
    assert (await outside_view.get("/readyz")).text == "ready"
    running = outside_view.running
    await running.connection.close()
    assert (await outside_view.get("/healthz")).status_code == 200


async def test_an_address_that_is_taken_is_named(sandbox: Sandbox, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"LISTEN: 127.0.0.1:{port}"):
            async with running_bot(sandbox, database_url, listen=f"127.0.0.1:{port}"):
                raise AssertionError("it served on an address that was taken")


async def test_without_the_default_address_it_starts_and_serves_nobody(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("bot.serving.DEFAULT_LISTEN", Address("127.0.0.1", port))
        async with running_bot(sandbox, database_url, listen=f"127.0.0.1:{port}"):
            await ada.sends("/help")
            await ada.chat.wait_for_text("team that shares one fal.ai account")


async def test_metrics_follow_the_alerts(
    sandbox: Sandbox, ada: Person, outside_view: Outside
) -> None:
    sandbox.fal.pace = "instant"
    await outside_view.running.let_in(ada, budget_nanos=30_000_000)
    await ada.sends("/image a red fox")
    await ada.chat.wait_for_text("running low")
    assert await outside_view.count("bot_notices_sent_total", kind="alert") == 1
    assert timedelta(seconds=await outside_view.count("bot_update_seconds_sum")) > timedelta(0)
