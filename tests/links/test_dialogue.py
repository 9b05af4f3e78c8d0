"""What holds while two peers speak in turns, and the receiver blocks its thread? All that holds elsewhere."""

from __future__ import annotations

import random
import statistics
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import zmq

import mq

from ..conftest import until

LAPS = 300
SETTLED = 20
"""Round trips after which a dialogue is known to be one."""


@contextmanager
def echoed(run: Callable[[Callable[[str], None]], None]) -> Iterator[str]:
    """Run an echo in a thread of its own, and yield its endpoint. It ends when it is sent b"end"."""
    endpoints: list[str] = []
    bound = threading.Event()

    def say(endpoint: str) -> None:
        endpoints.append(endpoint)
        bound.set()

    thread = threading.Thread(target=run, args=[say])
    thread.start()
    try:
        assert bound.wait(10)
        yield endpoints[0]
    finally:
        thread.join(20)
        assert not thread.is_alive()


def echo_of(kind: Callable[..., Any], endpoint: str) -> Callable[[Callable[[str], None]], None]:
    """Return what runs an echo on a socket of ours."""

    async def echo(say: Callable[[str], None]) -> None:
        async with kind() as socket:
            say(socket.bind(endpoint))
            frames = [b""]
            while frames[-1] != b"end":
                frames = await socket.receive_multipart()
                await socket.send_multipart(frames)

    return lambda say: trio.run(echo, say)


def echo_of_libzmq(kind: int, endpoint: str) -> Callable[[Callable[[str], None]], None]:
    """Return what runs an echo on a socket of libzmq."""

    def echo(say: Callable[[str], None]) -> None:
        with zmq.Context() as context, context.socket(kind) as socket:
            socket.setsockopt(zmq.RCVTIMEO, 20_000)
            socket.bind(endpoint)
            say(socket.getsockopt_string(zmq.LAST_ENDPOINT))
            frames = [b""]
            while frames[-1] != b"end":
                frames = socket.recv_multipart()
                socket.send_multipart(frames)

    return echo


KINDS = {
    "PAIR": (mq.Pair, mq.Pair, zmq.PAIR),
    "REQ": (mq.Req, mq.Rep, zmq.REP),
    "DEALER": (mq.Dealer, mq.Router, zmq.ROUTER),
    "ROUTER": (mq.Dealer, mq.Dealer, zmq.DEALER),
}
"""By name: the socket that asks, the one of ours that echoes, and the one of libzmq."""


@pytest.mark.parametrize("foreign", [False, True], ids=["ours", "libzmq"])
@pytest.mark.parametrize("kind", KINDS)
async def test_each_message_comes_back_as_it_was(kind: str, foreign: bool, wire_endpoint: str) -> None:
    ask, answer, theirs = KINDS[kind]
    chance = random.Random(kind)
    with echoed(echo_of_libzmq(theirs, wire_endpoint) if foreign else echo_of(answer, wire_endpoint)) as endpoint:
        async with ask() as socket:
            socket.connect(endpoint)
            with trio.fail_after(20):
                for lap in range(LAPS):
                    # Mostly small messages; now and then large ones, several frames, and a pause.
                    size = chance.choice([16] * 20 + [0, 255, 256, 5000, 100_000, 600_000])
                    frames = [bytes([lap % 256]) * size] * chance.choice([1] * 20 + [2, 5])
                    await socket.send_multipart(frames)
                    if not chance.randrange(50):
                        await trio.sleep(0.001)
                    assert await socket.receive_multipart() == frames
                await socket.send(b"end")
                assert await socket.receive() == b"end"


async def converse(socket: Any, laps: int) -> None:
    for _ in range(laps):
        await socket.send(b"0123456789abcdef")
        assert await socket.receive() == b"0123456789abcdef"


async def test_other_tasks_have_their_turns(wire_endpoint: str) -> None:
    turns = 0
    enough = trio.Event()

    async def tick() -> None:
        nonlocal turns
        while not enough.is_set():
            await trio.sleep(0.0001)
            turns += 1

    with echoed(echo_of(mq.Pair, wire_endpoint)) as endpoint:
        async with mq.Pair() as socket, trio.open_nursery() as nursery:
            socket.connect(endpoint)
            await converse(socket, SETTLED)
            nursery.start_soon(tick)
            with trio.fail_after(20):
                while turns < 20:
                    await converse(socket, 1)
            enough.set()
            await converse(socket, 1)
            await socket.send(b"end")


@pytest.mark.parametrize("how", ["by a deadline", "by another task", "by a thread"])
async def test_a_wait_in_it_can_be_cancelled_and_loses_nothing(how: str, wire_endpoint: str) -> None:
    async with mq.Pair() as ours, mq.Pair() as theirs:
        ours.connect(theirs.bind(wire_endpoint))
        for _ in range(SETTLED):
            await theirs.send(b"m")
            assert await ours.receive() == b"m"
        async with trio.open_nursery() as nursery:
            for lap in range(20):
                with trio.CancelScope() as scope:
                    if how == "by a deadline":
                        scope.deadline = trio.current_time() + 0.001
                    elif how == "by another task":
                        nursery.start_soon(cancel_soon, scope)
                    else:
                        token = trio.lowlevel.current_trio_token()
                        threading.Timer(0.001, token.run_sync_soon, [scope.cancel]).start()
                    await ours.receive()
                assert scope.cancelled_caught
                message = b"%d" % lap
                await theirs.send(message)
                with trio.fail_after(20):
                    assert await ours.receive() == message


async def cancel_soon(scope: trio.CancelScope) -> None:
    await trio.sleep(0.001)
    scope.cancel()


async def test_the_end_of_the_connection_is_noticed_in_it(wire_endpoint: str) -> None:
    with echoed(echo_of(mq.Pair, wire_endpoint)) as endpoint:
        async with mq.Pair() as socket:
            socket.connect(endpoint)
            await converse(socket, SETTLED)
            await socket.send(b"end")
            assert await socket.receive() == b"end"
            with trio.move_on_after(0.01):
                await socket.receive()
            await until(lambda: not socket.statistics().peers[0].connected)


@pytest.mark.parametrize("side", ["ours", "theirs"])
async def test_a_round_trip_costs_at_most_twenty_calls_on_each_side(side: str, wire_endpoint: str) -> None:
    """The calls of Python functions, Trio's included. The median counts: now and then another task has a turn."""
    costs: list[int] = []
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    async def echo(say: Callable[[str], None]) -> None:
        nonlocal calls
        async with mq.Pair() as socket:
            say(socket.bind(wire_endpoint))
            if side == "theirs":
                sys.setprofile(count)
            message = b""
            while message != b"end":
                calls, before = 0, calls
                costs.append(before)
                message = await socket.receive()
                await socket.send(message)
            sys.setprofile(None)

    with echoed(lambda say: trio.run(echo, say)) as endpoint:
        async with mq.Pair() as socket:
            socket.connect(endpoint)
            await converse(socket, SETTLED)
            if side == "ours":
                costs.clear()
                sys.setprofile(count)
            for _ in range(LAPS):
                calls = 0
                await socket.send(b"0123456789abcdef")
                await socket.receive()
                if side == "ours":
                    costs.append(calls)
            sys.setprofile(None)
            await socket.send(b"end")
            assert await socket.receive() == b"end"
    assert statistics.median(costs[SETTLED:]) <= 20
