"""Is a host with several addresses reached if some do not answer? The first answer wins, other connections close."""

from __future__ import annotations

import errno
import math
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define

import mq
from mq.transports import racing
from mq.transports.rounds import Address, Rounds

from ..conftest import next_event, until
from ..links.raw import Raw, raw_server
from .test_names import NameServer, _port, name_server

__all__ = ["name_server"]

linux = pytest.mark.skipif(sys.platform != "linux", reason="every 127.x address is this machine's on Linux")

A4, B4, C4 = [(int(socket.AF_INET), (f"127.0.0.{number}", 1)) for number in (1, 2, 3)]
A6, B6 = [(int(socket.AF_INET6), (f"::{number}", 1, 0, 0)) for number in (1, 2)]


# -- the order ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "order"),
    [
        ([A4, B4], [A4, B4]),
        ([A6, B6, A4, B4], [A6, A4, B6, B4]),
        ([A4, B4, A6], [A4, A6, B4]),
        ([A4, A4, B4], [A4, B4]),
    ],
)
def test_families_have_turns(found: list[Address], order: list[Address]) -> None:
    assert Rounds().begin(found) == order


def run(rounds: Rounds, found: list[Address], tries: int, answers: Address | None = None) -> list[Address]:
    """Run a round that ends after ``tries`` attempts, and return its order."""
    order = list(rounds.begin(found))
    for address in order[:tries]:
        rounds.trying(address)
    if answers is not None:
        rounds.answered(answers)
    return order


def test_each_round_begins_with_another_address() -> None:
    rounds = Rounds()
    assert [run(rounds, [A4, B4, C4], 3)[0] for _ in range(7)] == [A4, B4, C4, A4, B4, C4, A4]


def test_untried_addresses_come_first() -> None:
    rounds = Rounds()
    assert run(rounds, [A4, B4, C4], 1) == [A4, B4, C4]
    assert run(rounds, [A4, B4, C4], 1) == [B4, C4, A4]
    assert run(rounds, [B4, C4, A4], 1) == [C4, A4, B4]  # however the name server sorts them


def test_an_address_that_accepted_without_a_handshake_comes_last() -> None:
    rounds = Rounds()
    assert run(rounds, [A4, B4, C4], 3, answers=B4) == [A4, B4, C4]
    assert run(rounds, [A4, B4, C4], 1) == [C4, A4, B4]


def test_a_handshake_makes_the_order_that_of_the_system_again() -> None:
    rounds = Rounds()
    run(rounds, [A4, B4], 2)
    rounds.forget()
    assert run(rounds, [A4, B4], 2) == [A4, B4]


def test_only_addresses_of_the_last_answer_are_remembered() -> None:
    rounds = Rounds()
    for number in range(1000):
        run(rounds, [(2, (f"10.0.{number // 256}.{number % 256}", 1)), A4], 2)
    assert len(rounds._tried) + len(rounds._spent) <= 4


# -- the race ----------------------------------------------------------------------------------------------


@define
class Stream:
    """A stream that an attempt returns."""

    name: str
    closed: bool = False

    def close(self) -> None:
        self.closed = True


class Course:
    """Addresses whose attempts to connect a test ends, with a stream or with an error."""

    def __init__(self) -> None:
        self.begun: list[Address] = []
        self.ends: dict[Address, Any] = {}
        self.go: dict[Address, trio.Event] = {}
        self.streams: list[Stream] = []

    async def connect(self, address: Address) -> Any:
        self.begun.append(address)
        await self.go.setdefault(address, trio.Event()).wait()
        if isinstance(self.ends.get(address), OSError):
            raise self.ends[address]
        self.streams.append(Stream(address[1][0]))
        return self.streams[-1]

    def end(self, address: Address, error: OSError | None = None) -> None:
        self.ends[address] = error
        self.go.setdefault(address, trio.Event()).set()


async def test_the_next_attempt_begins_when_the_last_has_not_answered_for_a_while(
    autojump_clock: trio.testing.MockClock,
) -> None:
    course = Course()
    start = trio.current_time()
    course.end(C4)
    assert (await racing.first([A4, B4, C4], course.connect, Rounds())).name == C4[1][0]
    assert course.begun == [A4, B4, C4]
    assert trio.current_time() - start == pytest.approx(0.5)


async def test_a_slow_attempt_may_still_win(autojump_clock: trio.testing.MockClock) -> None:
    course = Course()

    async def connect(address: Address) -> Any:
        if address == A4:
            await trio.sleep(0.6)
            course.end(A4)
        return await course.connect(address)

    assert (await racing.first([A4, B4], connect, Rounds())).name == A4[1][0]
    assert course.begun == [B4, A4]


async def test_after_a_failed_attempt_the_next_begins_at_once(autojump_clock: trio.testing.MockClock) -> None:
    course = Course()
    start = trio.current_time()
    course.end(A4, OSError(errno.ENETUNREACH, "Network is unreachable"))
    course.end(B4, ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
    course.end(C4)
    assert (await racing.first([A4, B4, C4], course.connect, Rounds())).name == C4[1][0]
    assert trio.current_time() == start


async def test_of_two_connections_made_at_the_same_moment_one_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    course = Course()

    async def end_both() -> None:
        await trio.sleep(0.3)
        course.end(A4)
        course.end(B4)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_both)
        won = await racing.first([A4, B4], course.connect, Rounds())
    assert len(course.streams) == 2
    assert [stream for stream in course.streams if not stream.closed] == [won]


async def test_a_connection_made_while_the_thread_was_busy_stays_the_only_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    for _ in range(20):  # the order of tasks is random
        course = Course()

        async def be_busy(clock: trio.testing.MockClock = autojump_clock, course: Course = course) -> None:
            await trio.testing.wait_all_tasks_blocked()
            clock.jump(1)
            course.end(A4)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(be_busy)
            await racing.first([A4, B4], course.connect, Rounds())
        assert course.begun == [A4]


async def test_when_cancelled_nothing_stays_open(autojump_clock: trio.testing.MockClock) -> None:
    for _ in range(20):
        course = Course()
        with trio.CancelScope() as scope:

            async def end_and_cancel(scope: trio.CancelScope = scope, course: Course = course) -> None:
                await trio.testing.wait_all_tasks_blocked()
                course.end(A4)
                scope.cancel()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(end_and_cancel)
                await racing.first([A4, B4], course.connect, Rounds())
        if scope.cancelled_caught:
            assert all(stream.closed for stream in course.streams)


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
UNREACHABLE = OSError(errno.ENETUNREACH, "Network is unreachable")


@pytest.mark.parametrize(
    ("errors", "code", "reason"),
    [
        ([REFUSED], errno.ECONNREFUSED, "Connection refused"),
        ([REFUSED, REFUSED], errno.ECONNREFUSED, "Connection refused"),
        ([UNREACHABLE, REFUSED], errno.ECONNREFUSED, "Network is unreachable; Connection refused"),
        ([REFUSED, UNREACHABLE], errno.ECONNREFUSED, "Connection refused; Network is unreachable"),
        ([UNREACHABLE, UNREACHABLE], errno.ENETUNREACH, "Network is unreachable"),
    ],
)
async def test_when_all_fail_all_reasons_are_told(errors: list[OSError], code: int, reason: str) -> None:
    course = Course()
    addresses = [A4, B4, C4][: len(errors)]
    for address, error in zip(addresses, errors, strict=True):
        course.end(address, error)
    with pytest.raises(OSError, match=reason) as caught:
        await racing.first(addresses, course.connect, Rounds())
    assert (caught.value.errno, caught.value.strerror) == (code, reason)
    assert isinstance(caught.value, ConnectionRefusedError) == (code == errno.ECONNREFUSED)


# -- sockets -----------------------------------------------------------------------------------------------


@contextmanager
def hole(host: str) -> Iterator[int]:
    """Yield a port of ``host`` where attempts to connect get no answer: its backlog is full."""
    listener = socket.create_server((host, 0), backlog=0)
    waiting = [socket.socket() for _ in range(4)]
    try:
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
    finally:
        for sock in (listener, *waiting):
            sock.close()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@linux
async def test_the_address_behind_a_black_hole_is_reached(name_server: NameServer, deadline: None) -> None:
    name_server.known["service.test"] = ["127.0.0.5", "127.0.0.6"]
    with hole("127.0.0.5") as port:
        async with mq.Pull() as pull, mq.Push(connect_timeout=math.inf) as push:
            pull.bind(f"tcp://127.0.0.6:{port}")
            before = _descriptors()
            push.connect(f"tcp://service.test:{port}")
            await push.wait_connected()
            await pull.wait_connected()
            assert _descriptors() == before + 2  # the two ends of one connection
            await push.send(b"hello")
            assert await pull.receive() == b"hello"


@linux
async def test_closing_leaves_no_attempt_behind(name_server: NameServer, deadline: None) -> None:
    name_server.known["service.test"] = ["127.0.0.5", "127.0.0.6"]
    with hole("127.0.0.5") as port, hole("127.0.0.6"):
        before = _descriptors()
        async with mq.Push(linger=0) as push:
            push.connect(f"tcp://service.test:{port}")
            await until(lambda: _descriptors() > before)
        assert _descriptors() == before


@linux
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
async def test_another_program_at_the_first_address_is_passed_over(
    answer: bytes, name_server: NameServer, deadline: None
) -> None:
    async def serve(raw: Raw) -> None:
        if answer:
            await raw.say(answer)
            await raw.hear_end()

    name_server.known["service.test"] = ["127.0.0.1", "127.0.0.6"]
    async with raw_server("tcp://127.0.0.1:*", serve) as endpoint:
        push = mq.Push(reconnect_interval=0.001, reconnect_interval_max=0.001)
        async with mq.Pull() as pull, push, push.monitor() as events:
            pull.bind(f"tcp://127.0.0.6:{_port(endpoint)}")
            push.connect(f"tcp://service.test:{_port(endpoint)}")
            await next_event(events, mq.HandshakeFailed)
            assert (await next_event(events, mq.Connected)).peer == f"tcp://127.0.0.6:{_port(endpoint)}"
            await push.send(b"hello")
            assert await pull.receive() == b"hello"
