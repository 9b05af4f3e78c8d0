"""How much Python does one message cost? Calls, counted on the side that sends and on the one that receives.

Each side has its own thread, so that the profiler sees one of them only; the calls of Trio and of the links are
counted with those of the socket.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
import trio

import mq

COUNT = 10_000
MOST = 1.5


@contextmanager
def counted(calls: Counter[str]) -> Iterator[None]:
    """Count the calls of Python functions in this thread."""

    def on_event(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}"] += 1

    sys.setprofile(on_event)
    try:
        yield
    finally:
        sys.setprofile(None)


async def send_all(push: mq.Push, body: bytes) -> None:
    for _ in range(COUNT):
        await push.send(body)


async def receive_all(pull: mq.Pull, body: bytes) -> None:
    for _ in range(COUNT):
        assert await pull.receive() == body


async def iterate_all(pull: mq.Pull, body: bytes) -> None:
    left = COUNT
    async for message in pull:
        assert message == body
        left -= 1
        if not left:
            return


Work = Callable[[Any, bytes], Awaitable[None]]


def carry(endpoint: str, body: bytes, hwm: int, sender: Work, receiver: Work, watched: str) -> Counter[str]:
    """Send ``COUNT`` messages from one thread to another; return the calls made in the ``watched`` one."""
    calls: Counter[str] = Counter()
    address: list[str] = []
    bound, received = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    async def send() -> None:
        async with mq.Push(send_hwm=hwm) as push:
            push.connect(address[0])
            await push.wait_connected()
            with counted(calls if watched == "sending" else Counter()):
                await sender(push, body)
            await trio.to_thread.run_sync(received.wait, 20)

    async def receive() -> None:
        async with mq.Pull(receive_hwm=hwm) as pull:
            address.append(pull.bind(endpoint))
            bound.set()
            await pull.wait_connected()
            with counted(calls if watched == "receiving" else Counter()), trio.fail_after(20):
                await receiver(pull, body)
            received.set()

    def run(main: Callable[[], Awaitable[None]]) -> None:
        try:
            trio.run(main)
        except BaseException as error:
            failures.append(error)
            bound.set()
            received.set()

    threads = [threading.Thread(target=run, args=[main]) for main in (receive, send)]
    threads[0].start()
    bound.wait(20)
    threads[1].start()
    for thread in threads:
        thread.join(30)
    assert not failures
    return calls


@pytest.mark.parametrize("watched", ["sending", "receiving"])
@pytest.mark.parametrize(("size", "hwm"), [(16, 1000), (1000, 1000), (16, 0)])
def test_a_message_costs_at_most_one_and_a_half_calls(endpoint: str, size: int, hwm: int, watched: str) -> None:
    calls = carry(endpoint, b"m" * size, hwm, send_all, receive_all, watched)
    assert calls.total() <= MOST * COUNT, f"{calls.total() / COUNT:.2f} calls a message: {calls.most_common(8)}"


def test_iterating_costs_no_more_than_receiving(endpoint: str) -> None:
    calls = carry(endpoint, b"m" * 16, 1000, send_all, iterate_all, "receiving")
    assert calls.total() <= MOST * COUNT, f"{calls.total() / COUNT:.2f} calls a message: {calls.most_common(8)}"
