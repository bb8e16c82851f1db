"""Files of results from addresses that a hostile model could name, over real HTTP."""

from __future__ import annotations

import gzip
import ipaddress
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bot.fal import files
from bot.fal.errors import MediaTooLarge, Unavailable
from bot.fal.files import is_public
from bot.fal.queue import Queue
from bot.fal.transport import OFFICIAL_CDN, OFFICIAL_QUEUE, OFFICIAL_REST, FalUrls
from bot.sandbox import Sandbox
from bot.sandbox.fal import FalWorld
from tests.support.answering import Answering, answering, dripping, response
from tests.support.fal import queue_at, urls_of

FAL = FalUrls(OFFICIAL_QUEUE, "https://api.fal.ai/v1", OFFICIAL_REST, OFFICIAL_CDN)
# Another name for this machine, which nobody has configured.
NOWHERE = str(ipaddress.IPv4Address(0))


@asynccontextmanager
async def fetching_from(cdn: Answering) -> AsyncIterator[Queue]:
    """The bot's way to fal, whose files are at a server that was configured."""
    async with queue_at(replace(FAL, cdn=cdn.url), "a:key") as queue:
        yield queue


async def test_a_result_cannot_make_the_bot_ask_a_neighbour_of_it() -> None:
    async with answering(response("200 OK", "secret")) as neighbour, queue_at(FAL, "a:key") as ours:
        port = neighbour.url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", NOWHERE):
            with pytest.raises(Unavailable):
                await ours.fetch(f"http://{host}:{port}/latest/meta-data", limit_bytes=100)
        assert neighbour.heads == []


async def test_nor_can_a_picture_be_handed_to_a_neighbour_of_it(
    sandbox: Sandbox, fal: FalWorld
) -> None:
    """Where uploads go is said by the answer that grants them."""
    async with answering(response("200 OK", "{}")) as neighbour:
        grant = {
            "token": "t",
            "token_type": "Bearer",
            "base_url": neighbour.url.replace("127.0.0.1", NOWHERE),
            "expires_at": "2036-01-01T00:00:00Z",
        }
        async with answering(response("200 OK", json.dumps(grant))) as rest:
            async with queue_at(replace(urls_of(sandbox), rest=rest.url), "a:key") as ours:
                await ours.upload(b"a picture", "image/png", "a.png")
            assert rest.heads
        assert neighbour.heads == []


@pytest.mark.parametrize("target", ["neighbour", "file:///etc/passwd", "data:text/plain,hello"])
async def test_nor_can_a_redirect_of_fals_own_server(target: str) -> None:
    async with answering(response("200 OK", "secret of the network")) as neighbour:
        near = neighbour.url.replace("127.0.0.1", NOWHERE)
        location = near if target == "neighbour" else target
        async with (
            answering(response("302 Found", location=location)) as cdn,
            fetching_from(cdn) as queue,
        ):
            with pytest.raises(Unavailable):
                await queue.fetch(f"{cdn.url}/a.png", limit_bytes=100)
            assert len(cdn.heads) == 1
        assert neighbour.heads == []


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        (NOWHERE, False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("2002:a00:1::", False),
        ("fal.media", False),
    ],
)
def test_an_address_is_public_or_it_is_not(host: str, public: bool) -> None:
    assert is_public((host, 443)) is public


def test_an_address_that_nobody_knows_is_not_public() -> None:
    assert not is_public(None)
    assert not is_public(())


@pytest.mark.parametrize("encodings", ["gzip", "gzip, gzip", "br"])
async def test_a_file_is_not_unpacked(encodings: str) -> None:
    bomb = gzip.compress(gzip.compress(bytes(10**7)))
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Encoding: {encodings}\r\nContent-Length: {len(bomb)}\r\n\r\n"
    )
    async with answering(head.encode() + bomb) as cdn:
        async with fetching_from(cdn) as queue:
            with pytest.raises(Unavailable):
                await queue.fetch(f"{cdn.url}/a.png", limit_bytes=10**8)
        assert "accept-encoding: identity" in cdn.heads[0].lower()


async def test_a_file_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_FETCH_SECONDS", 0.2)
    async with dripping() as cdn, fetching_from(cdn) as queue:
        with pytest.raises(Unavailable):
            await queue.fetch(f"{cdn.url}/a.mp4", limit_bytes=10**6)


async def test_a_large_file_is_given_up_when_it_is_too_large_and_not_at_its_end() -> None:
    async with dripping() as cdn, fetching_from(cdn) as queue:
        with pytest.raises(MediaTooLarge):
            await queue.fetch(f"{cdn.url}/a.mp4", limit_bytes=3)


async def test_a_file_that_a_model_answers_itself_is_one() -> None:
    """Its address would be too long for the message with the link: it never came."""
    async with queue_at(FAL, "a:key") as queue:
        assert await queue.fetch("data:image/png;base64,MTIzNDU=", limit_bytes=5) == b"12345"
        with pytest.raises(MediaTooLarge):
            await queue.fetch("data:image/png;base64,MTIzNDU=", limit_bytes=4)
        for url in ("data:image/png;base64,!", "data:image/png,12345", "data:", "data:,"):
            with pytest.raises(Unavailable):
                await queue.fetch(url, limit_bytes=5)
