"""Ports for servers that have to be told theirs."""

from __future__ import annotations

import os
import socket
from itertools import count

# Below those that a system gives to connections that go out (Linux: from 32768, else from 49152):
# between finding a port and listening on it no such connection takes it. Each worker of pytest has
# a part of them.
FIRST, OF_A_WORKER, WORKERS = 20_000, 500, 24

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
_steps = count(os.getpid())


def free_ports(number: int = 1) -> list[int]:
    """So many ports of this machine that nobody listens on, each given once."""
    found: list[int] = []
    while len(found) < number:
        port = FIRST + OF_A_WORKER * _worker + next(_steps) % OF_A_WORKER
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.append(port)
    return found
