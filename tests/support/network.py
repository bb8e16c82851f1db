"""A guard that keeps every test on this machine."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class OutsideError(Exception):
    """A test wanted to reach something that is not on this machine.

    No `OSError`, so that what retries lost connections does not take it for one.
    """


def is_local(host: str | None) -> bool:
    """Whether the host, a name or an address, is this machine, or none in particular."""
    if not host or host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@contextmanager
def only_this_machine() -> Iterator[list[str]]:
    """Refuse connections and look-ups that leave this machine; yields the hosts that were refused.

    Sees what goes through Python's `socket`, which is everything but uvloop's own connections.
    """
    refused: list[str] = []

    def check(host: str | bytes | None) -> None:
        host = host.decode() if isinstance(host, bytes) else host
        if not is_local(host):
            refused.append(str(host))
            raise OutsideError(f"a test wanted to reach {host}")

    def guarded(name: str, address_at: int) -> Any:
        original = getattr(socket.socket, name)

        def call(self: socket.socket, *args: Any) -> Any:
            address = args[address_at]
            if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
                check(address[0])
            return original(self, *args)

        return call

    look_up = socket.getaddrinfo

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        check(host)
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded("connect", 0))
        patch.setattr(socket.socket, "connect_ex", guarded("connect_ex", 0))
        patch.setattr(socket.socket, "sendto", guarded("sendto", -1))
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield refused
