"""Three processes share the work; one is killed in the middle; all promises hold."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bot.sandbox import Sandbox
from db import ledger
from db.audit import verify
from db.connection import connect, migrate
from db.models import Access, ContentJob, JobState, Person
from tests.replicas.balancer import RoundRobin
from tests.support.ports import free_ports
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
PROCESSES = 3
PICTURES, AFFORDABLE = 24, 18
PICTURE_NANOS = 25_000_000
SECONDS = 60


@asynccontextmanager
async def processes(
    sandbox: Sandbox, database_url: str, ports: list[int], folder: Path
) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """The bot, once for each port; whatever still runs at the end is killed."""
    running = []
    try:
        for port in ports:
            environment = {
                **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                **sandbox.environment(),
                "PYTHONPATH": str(ROOT),
                "ADMIN_IDS": "900",
                "DATABASE_URL": database_url,
                "PUBLIC_URL": "https://bot.example",
                "LISTEN": f"127.0.0.1:{port}",
                "MAX_ACTIVE_JOBS": "100",
                "NOTICE_INTERVAL": "1",
            }
            with (folder / f"{port}.log").open("wb") as log:
                running.append(
                    await asyncio.create_subprocess_exec(
                        sys.executable,
                        "-m",
                        "bot",
                        cwd=folder,
                        env=environment,
                        stdout=log,
                        stderr=log,
                    )
                )
        yield running
    finally:
        for process in running:
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*(process.wait() for process in running))


async def all_ready(
    running: list[asyncio.subprocess.Process], ports: list[int], folder: Path
) -> None:
    """Return when every process says that it is ready; fail with what one says that ends."""

    async def ready() -> bool:
        for process, port in zip(running, ports, strict=True):
            said = (folder / f"{port}.log").read_text()
            assert process.returncode is None, said
        try:
            answers = [await client.get(f"http://127.0.0.1:{port}/readyz") for port in ports]
        except httpx.HTTPError:
            return False
        return all(answer.status_code == 200 for answer in answers)

    async with httpx.AsyncClient() as client:
        await eventually(ready, SECONDS, "every process is ready")


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_three_processes_share_the_work_and_one_may_die(
    postgres_url: str, tmp_path: Path
) -> None:
    ports = free_ports(PROCESSES)
    balancer = RoundRobin(ports)
    async with Sandbox(pace="manual") as sandbox, connect(postgres_url) as connection:
        await migrate(connection)
        # Telegram and fal know one address; it leads to the processes in turn.
        sandbox.telegram.updates._client = httpx.AsyncClient(transport=balancer)
        sandbox.fal.webhooks._client = httpx.AsyncClient(transport=balancer)
        ada = sandbox.telegram.person(id=1, name="Ada", started=True)
        await Person.create(id=1, name="Ada", access=Access.APPROVED)
        await ledger.set_budget(1, AFFORDABLE * PICTURE_NANOS, actor_id=900, origin="test")

        async with processes(sandbox, postgres_url, ports, tmp_path) as running:
            await all_ready(running, ports, tmp_path)
            await asyncio.gather(*(ada.sends(f"/image fox {n}") for n in range(PICTURES)))
            requests = await sandbox.fal.wait_for_requests(AFFORDABLE, timeout=SECONDS)
            for request in requests[: AFFORDABLE // 2]:
                sandbox.fal.complete(request)

            running[0].send_signal(signal.SIGKILL)
            await running[0].wait()
            for request in requests[AFFORDABLE // 2 :]:
                sandbox.fal.complete(request)

            async def all_delivered() -> bool:
                delivered = await ContentJob.filter(state=JobState.DELIVERED).count()
                return delivered == AFFORDABLE

            await eventually(all_delivered, SECONDS, "every picture is delivered")
            photos = [message for message in ada.chat.from_bot if message.kind == "photo"]
            prompts = [str(request.arguments["prompt"]) for request in sandbox.fal.requests]
            person = await Person.get(id=1)

            assert len(photos) == AFFORDABLE
            assert len(prompts) == len(set(prompts)) == AFFORDABLE
            assert person.total_spent_nanos == sandbox.fal.bill_total_nanos
            assert (person.held_nanos, person.active_jobs) == (0, 0)
            assert person.spent_nanos == person.budget_nanos
            assert await verify(connection) == []
            # The killed one left its share to the others, and they end as they should.
            for process in running[1:]:
                process.send_signal(signal.SIGTERM)
            assert [await process.wait() for process in running[1:]] == [0, 0]
