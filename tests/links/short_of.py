"""What does a process do that is short of something? ``python -m tests.links.short_of memory tcp`` prints "well"."""

from __future__ import annotations

import logging
import resource
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import trio

import mq

from ..conftest import next_event, until
from .raw import raw_peer

SPARE = 24 * 1024 * 1024
FRAME = b"\x02" + (10 * SPARE).to_bytes(8, "big")
"""The start of a frame that there is no memory for."""


@contextmanager
def little_memory() -> Iterator[None]:
    """Let this process have little more memory than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + SPARE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


async def memory(endpoint: str) -> None:
    """A peer sends a frame that there is no memory for: it loses its connection, and another peer is served."""
    await _memory(endpoint, receiving=False)  # the reader's own task reads the connection
    await _memory(endpoint, receiving=True)  # the task in receive() does


async def _memory(endpoint: str, *, receiving: bool) -> None:
    async with mq.Pull() as pull, pull.monitor() as events, trio.open_nursery() as nursery:
        address = pull.bind(endpoint)
        got: list[bytes] = []
        if receiving:

            @nursery.start_soon
            async def receive() -> None:
                async for message in pull:
                    got.append(message)

        async with raw_peer(address) as raw:
            await raw.shake_hands(b"PUSH")
            await raw.say(b"\x00\x05first")
            with little_memory(), suppress(trio.BrokenResourceError):
                await raw.say(FRAME)
                chunk = bytes(1024 * 1024)
                for _ in range(10 * SPARE // len(chunk)):
                    await raw.say(chunk)
            reason = (await next_event(events, mq.Disconnected)).reason
            assert "memory" in reason, reason
        async with mq.Push() as push:
            push.connect(address)
            await push.send(b"second")
            if receiving:
                await until(lambda: len(got) == 2)
            else:
                got.extend([await pull.receive(), await pull.receive()])
        assert got == [b"first", b"second"], got
        nursery.cancel_scope.cancel()


async def threads(endpoint: str) -> None:
    """No thread is to be had to look up a name: it is looked up when there is one."""
    said: list[Any] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = said.append  # type: ignore[method-assign]
    logging.getLogger("mq").addHandler(handler)
    async with mq.Pull() as pull, mq.Push(reconnect_interval=0.005, reconnect_interval_max=0.02) as push:
        port = pull.bind(endpoint).rpartition(":")[2]
        usual = threading.stack_size(2**46)  # more than any system has: the next thread cannot start
        async with push.monitor() as events:
            push.connect(f"tcp://localhost:{port}")
            for _ in range(3):
                reason = (await next_event(events, mq.ConnectDelayed)).reason
                assert "pids.max" in reason, reason
        threading.stack_size(usual)
        await push.send(b"late")
        assert await pull.receive() == b"late"
    (line,) = said
    assert "pids.max" in line.getMessage()


def main() -> None:
    want, scheme = sys.argv[1:]
    work = {"memory": memory, "threads": threads}[want]
    with tempfile.TemporaryDirectory() as directory:
        trio.run(work, "tcp://127.0.0.1:*" if scheme == "tcp" else f"ipc://{directory}/socket")
    print("well")


if __name__ == "__main__":
    main()
