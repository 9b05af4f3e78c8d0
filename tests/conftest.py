"""What every test may ask for: endpoints of each transport, and married sockets."""

from __future__ import annotations

import itertools
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import mq

# A shell starts what runs in its background deaf to Ctrl-C, and so would be every program that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

TRANSPORTS = ("inproc", "ipc", "tcp")
_names = itertools.count()


def endpoint_of(transport: str, directory: Path) -> str:
    """Return an endpoint that can be bound and, unless it is tcp's, be connected to before."""
    number = next(_names)
    return {
        "inproc": f"inproc://test-{number}",
        "ipc": f"ipc://{directory}/{number}",
        "tcp": "tcp://127.0.0.1:*",
    }[transport]


@pytest.fixture(params=TRANSPORTS)
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An endpoint to bind, of every transport in turn."""
    return endpoint_of(request.param, tmp_path)


@pytest.fixture(params=("ipc", "tcp"))
def wire_endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An endpoint to bind, of every transport that has a wire."""
    return endpoint_of(request.param, tmp_path)


@pytest.fixture
async def deadline() -> AsyncIterator[None]:
    """Fail a test that hangs. Name it as an argument: pytest-trio leaves out what only usefixtures() names."""
    with trio.fail_after(30):
        yield


@asynccontextmanager
async def married(binder: mq.Socket, connecter: mq.Socket, endpoint: str) -> AsyncIterator[tuple[Any, Any]]:
    """Open two sockets, join them at ``endpoint``, and wait until each has the other."""
    async with binder, connecter:
        connecter.connect(binder.bind(endpoint))
        await binder.wait_connected()
        await connecter.wait_connected()
        yield binder, connecter


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until ``condition`` holds. For conditions that no event announces."""
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - it has no event
            await trio.sleep(0.001)


async def next_event(events: Any, kind: type[Any]) -> Any:
    """Return the next event of a monitor that is of ``kind``."""
    with trio.fail_after(20):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"the monitor ended before a {kind.__name__}")


Work = Callable[[], Awaitable[None]]


class Turns:
    """How many turns other tasks have had."""

    count = 0

    async def take(self) -> None:
        while True:
            await trio.lowlevel.checkpoint()
            self.count += 1
