"""How do the sockets of a test meet, and what do they say? Addresses, numbered messages, full queues."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married

HUGE = bytes(48 * 1024 * 1024)
"""More than the kernel's buffers hold, so that a socket filled with it stays full: tcp's grow behind one's back."""


async def reserved(endpoint: str) -> str:
    """Return an address that can be bound, and connected to before: the one that ``endpoint`` resolves to now."""
    async with mq.Pull() as pull:
        return pull.bind(endpoint)


def another(endpoint: str) -> str:
    """Return a second endpoint of the same transport."""
    return endpoint if endpoint.endswith(":*") else f"{endpoint}-{another.__name__}"


def numbered(count: int) -> list[bytes]:
    """Return as many different messages, in order."""
    return [b"%d" % number for number in range(count)]


async def receive_all(socket: Any, count: int) -> list[bytes]:
    """Receive ``count`` messages."""
    return [await socket.receive() for _ in range(count)]


async def fill(socket: Any, body: bytes) -> int:
    """Send ``body`` until nothing takes it any more; return how many were sent."""
    sent = 0
    while True:
        try:
            while True:
                socket.send_nowait(body)
                sent += 1
        except trio.WouldBlock:
            await wait_all_tasks_blocked(0.02)
        try:
            socket.send_nowait(body)
            sent += 1
        except trio.WouldBlock:
            return sent


@asynccontextmanager
async def subscribed(pub: Any, sub: Any, endpoint: str, *topics: bytes) -> AsyncIterator[tuple[Any, Any]]:
    """Marry a publisher, which binds, and a SUB, and wait until each of ``topics`` is subscribed to."""
    async with married(pub, sub, endpoint):
        for topic in topics:
            sub.subscribe(topic)
            await pub.wait_subscribed(topic)
        yield pub, sub


async def receive_until(socket: Any, end: bytes) -> list[bytes]:
    """Receive what comes before ``end``."""
    got: list[bytes] = []
    while (message := await socket.receive()) != end:
        got.append(message)
    return got
