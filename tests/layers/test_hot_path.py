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
from functools import partial
from types import FrameType
from typing import Any, NamedTuple

import pytest
import trio

import mq

COUNT = 10_000
MOST = 1.5
RUNS = 3
"""Runs until one stays below the bound, at most."""


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


async def send_frames(socket: Any, body: bytes) -> None:
    frames = [b"topic", body]
    for _ in range(COUNT):
        await socket.send_multipart(frames)


async def receive_frames(socket: Any, body: bytes) -> None:
    for _ in range(COUNT):
        assert (await socket.receive_multipart())[-1] == body


async def send_to_the_only_peer(socket: Any, body: bytes) -> None:
    (address,) = socket._by_address
    if isinstance(address, int):
        for _ in range(COUNT):
            await socket.send(body, address)
    else:
        frames = [address, body]
        for _ in range(COUNT):
            await socket.send_multipart(frames)


async def receive_pairs(socket: Any, body: bytes) -> None:
    for _ in range(COUNT):
        assert (await socket.receive())[1] == body


async def send_to_the_group(socket: mq.Radio, body: bytes) -> None:
    for _ in range(COUNT):
        await socket.send(b"group", body)


class Traffic(NamedTuple):
    """Who sends to whom, and how."""

    sender: Callable[..., Any]
    receiver: Callable[..., Any]
    send: Work = send_all
    receive: Work = receive_all


async def ready(socket: Any) -> None:
    """Wait until what is sent will arrive."""
    if isinstance(socket, (mq.Pub, mq.XPub)):
        await socket.wait_subscribed(b"m")
        await socket.wait_subscribed(b"topic")
    elif isinstance(socket, mq.Radio):
        await socket.wait_joined(b"group")
    else:
        await socket.wait_connected()


async def prepared(socket: Any) -> None:
    """Have what comes wanted."""
    if isinstance(socket, mq.Sub):
        socket.subscribe(b"m")
        socket.subscribe(b"topic")
    elif isinstance(socket, mq.XSub):
        await socket.send(b"\1m")
        await socket.send(b"\1topic")
    elif isinstance(socket, mq.Dish):
        socket.join(b"group")


def carry(
    endpoint: str, body: bytes, hwm: int, traffic: Traffic, watched: str, *, in_turn: bool = False
) -> Counter[str]:
    """Send ``COUNT`` messages from one thread to another; return the calls made in the ``watched`` one.

    ``in_turn``: receiving begins when all is sent, so that nobody waits for messages or for the interpreter.
    """
    calls: Counter[str] = Counter()
    address: list[str] = []
    bound, sent, received = threading.Event(), threading.Event(), threading.Event()
    failures: list[BaseException] = []

    async def send() -> None:
        async with traffic.sender(send_hwm=hwm) as socket:
            socket.connect(address[0])
            await ready(socket)
            with counted(calls if watched == "sending" else Counter()):
                await traffic.send(socket, body)
            sent.set()
            await trio.to_thread.run_sync(received.wait, 20)

    async def receive() -> None:
        async with traffic.receiver(receive_hwm=hwm) as socket:
            address.append(socket.bind(endpoint))
            await prepared(socket)
            bound.set()
            await socket.wait_connected()
            with counted(calls if watched == "receiving" else Counter()), trio.fail_after(20):
                if in_turn:
                    await trio.to_thread.run_sync(sent.wait, 20)
                await traffic.receive(socket, body)
            received.set()

    def run(main: Callable[[], Awaitable[None]]) -> None:
        try:
            trio.run(main)
        except BaseException as error:
            failures.append(error)
            bound.set()
            sent.set()
            received.set()

    threads = [threading.Thread(target=run, args=[main]) for main in (receive, send)]
    threads[0].start()
    bound.wait(20)
    threads[1].start()
    for thread in threads:
        thread.join(30)
    assert not failures
    return calls


def check(calls: Counter[str]) -> None:
    assert calls.total() <= MOST * COUNT, f"{calls.total() / COUNT:.2f} calls a message: {calls.most_common(8)}"


@pytest.mark.parametrize("watched", ["sending", "receiving"])
@pytest.mark.parametrize(("size", "hwm"), [(16, 1000), (1000, 1000), (16, 0)])
def test_a_message_costs_at_most_one_and_a_half_calls(endpoint: str, size: int, hwm: int, watched: str) -> None:
    # Beside other programs, a thread may get few messages with each read. Then the run counts waits, not messages.
    runs = [carry(endpoint, b"m" * size, hwm, Traffic(mq.Push, mq.Pull), watched)]
    while runs[-1].total() > MOST * COUNT and len(runs) < RUNS:
        runs.append(carry(endpoint, b"m" * size, hwm, Traffic(mq.Push, mq.Pull), watched))
    check(runs[-1])


TRAFFIC = {
    "PAIR": Traffic(mq.Pair, mq.Pair),
    "PAIR, frames": Traffic(mq.Pair, mq.Pair, send_frames, receive_frames),
    "PUSH to PULL, frames": Traffic(mq.Push, mq.Pull, send_frames, receive_frames),
    "DEALER to DEALER": Traffic(mq.Dealer, mq.Dealer),
    "DEALER to ROUTER": Traffic(mq.Dealer, mq.Router, send_all, receive_frames),
    "DEALER to ROUTER, frames": Traffic(mq.Dealer, mq.Router, send_frames, receive_frames),
    "ROUTER to DEALER": Traffic(partial(mq.Router, router_mandatory=True), mq.Dealer, send_to_the_only_peer),
    "PUB to SUB": Traffic(mq.Pub, mq.Sub),
    "XPUB to XSUB": Traffic(mq.XPub, mq.XSub),
    "CLIENT to SERVER": Traffic(mq.Client, mq.Server, send_all, receive_pairs),
    "SERVER to CLIENT": Traffic(mq.Server, mq.Client, send_to_the_only_peer),
    "PEER": Traffic(mq.Peer, mq.Peer, send_to_the_only_peer, receive_pairs),
    "SCATTER to GATHER": Traffic(mq.Scatter, mq.Gather),
    "CHANNEL": Traffic(mq.Channel, mq.Channel),
    "RADIO to DISH": Traffic(mq.Radio, mq.Dish, send_to_the_group, receive_pairs),
}


@pytest.mark.parametrize("watched", ["sending", "receiving"])
@pytest.mark.parametrize("traffic", TRAFFIC.values(), ids=TRAFFIC)
def test_it_does_so_for_every_type_of_socket(endpoint: str, traffic: Traffic, watched: str) -> None:
    check(carry(endpoint, b"m" * 16, 0, traffic, watched, in_turn=True))


def test_iterating_costs_no_more_than_receiving(endpoint: str) -> None:
    check(carry(endpoint, b"m" * 16, 1000, Traffic(mq.Push, mq.Pull, send_all, iterate_all), "receiving"))
