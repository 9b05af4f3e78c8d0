"""Do our monitors tell what libzmq's do, in its order and number? Each scenario is recorded from both.

docs/differences.md says how libzmq's events become ours: what `ours` below does to a recording.
"""

from __future__ import annotations

import socket as stdlib_socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

import pytest
import trio
import zmq

import mq

from ..patterns.meeting import reserved
from .libzmq import Libzmq, Monitor, libzmq

NAMES = {
    zmq.EVENT_LISTENING: "Listening",
    zmq.EVENT_ACCEPTED: "Accepted",
    zmq.EVENT_CONNECTED: "Connected",
    zmq.EVENT_CONNECT_RETRIED: "ConnectRetried",
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "Handshaken",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "HandshakeFailed",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "HandshakeFailed",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "HandshakeFailed",
    zmq.EVENT_DISCONNECTED: "Disconnected",
    zmq.EVENT_CLOSED: "Closed",
}
"""Events that both have, under libzmq's number and our name."""

BEGUN = ("Connected", "Accepted")
"""The last event of a connection while its handshake goes on."""


def ours(recorded: list[int], *, connects: bool) -> list[str]:
    """Return the names of the events of ours that stand for what libzmq told of one connection after another."""
    names: list[str] = []
    last = ""
    for event in recorded:
        if event == zmq.EVENT_CONNECT_DELAYED:  # libzmq has begun a TCP connection
            continue
        name = NAMES[event]
        if name == "Closed" and connects:  # the attempt has failed
            name = "ConnectDelayed"
        if name == "Disconnected" and last == "HandshakeFailed":  # it is one event with us
            continue
        if name == "Disconnected" and last in BEGUN:  # of a wrong type, libzmq says no more
            name = "HandshakeFailed"
        names.append(name)
        last = name
    return names


class Subject(Protocol):
    """A socket whose events are recorded, ours or libzmq's."""

    socket: Any

    async def until(self, name: str, count: int = 1) -> None:
        """Wait until it has told the event ``name``, as we call it, so many times."""

    def told(self) -> list[str]:
        """Return the names of what it has told, as we call them."""


class Our:
    def __init__(self, socket: Any, events: Any) -> None:
        self.socket = socket
        self._events = events
        self._told: list[str] = []

    async def until(self, name: str, count: int = 1) -> None:
        while self._told.count(name) < count:
            self._told.append(type(await self._events.receive()).__name__)

    def told(self) -> list[str]:
        return self._told


class Their:
    def __init__(self, socket: Libzmq, monitor: Monitor, connects: bool) -> None:
        self.socket = socket
        self._monitor = monitor
        self._connects = connects
        self._recorded: list[int] = []

    async def until(self, name: str, count: int = 1) -> None:
        while self.told().count(name) < count:
            self._recorded.append((await self._monitor.any())["event"])

    def told(self) -> list[str]:
        return ours(self._recorded, connects=self._connects)


@asynccontextmanager
async def our(kind: str, *, connects: bool, soon: bool = False) -> AsyncIterator[Subject]:
    options = {"reconnect_interval": 0.01} if soon else {}
    subject = {"PUSH": mq.Push, "PULL": mq.Pull}[kind](linger=0, handshake_timeout=0.1, **options)
    async with subject, subject.monitor() as events:
        yield Our(subject, events)


@asynccontextmanager
async def their(kind: str, *, connects: bool, soon: bool = False) -> AsyncIterator[Subject]:
    options: dict[str, int | bytes] = {"RECONNECT_IVL": 10} if soon else {}
    async with (
        libzmq(getattr(zmq, kind), LINGER=0, HANDSHAKE_IVL=100, **options) as theirs,
        theirs.monitor() as monitor,
    ):
        yield Their(theirs, monitor, connects)


async def both(scenario: Callable[..., Any], *arguments: Any) -> tuple[list[str], list[str]]:
    """Play ``scenario`` with a socket of libzmq and with one of ours; return what each told."""
    return await scenario(their, *arguments), await scenario(our, *arguments)


@contextmanager
def bare(endpoint: str, *, listens: bool = False) -> Iterator[Any]:
    """Open a socket of the system that speaks no ZeroMQ."""
    scheme, _, where = endpoint.partition("://")
    host, _, port = where.rpartition(":")
    family, address = (
        (stdlib_socket.AF_INET, (host, int(port))) if scheme == "tcp" else (stdlib_socket.AF_UNIX, where)
    )
    with stdlib_socket.socket(family, stdlib_socket.SOCK_STREAM) as plain:
        plain.settimeout(20)
        if listens:
            plain.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_REUSEADDR, 1)
            plain.bind(address)
            plain.listen()
        else:
            plain.connect(address)
        yield plain


async def look_at(peer: Libzmq) -> None:
    """Ask ``peer`` for its events again and again: libzmq ends what was disconnected in calls of its program."""
    while True:
        assert peer.writable is not None
        await trio.sleep(0.001)


def without_repetition(names: list[str], pattern: list[str]) -> list[str]:
    """Return ``names`` with ``pattern``, wherever it comes several times in a row, once."""
    kept: list[str] = []
    for name in names:
        kept.append(name)
        if kept[-2 * len(pattern) :] == pattern * 2:
            del kept[-len(pattern) :]
    return kept


# -- connecting --------------------------------------------------------------------------------------------

FAILED = ["ConnectDelayed", "ConnectRetried"]


async def test_an_endpoint_that_refuses_is_told_twice_an_attempt(wire_endpoint: str, deadline: None) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        async with open_subject("PUSH", connects=True, soon=True) as subject:
            subject.socket.connect(await reserved(wire_endpoint))
            await subject.until("ConnectRetried", 4)
            return subject.told()

    theirs, ours = await both(scenario)
    assert theirs == ours == FAILED * 4


async def test_connecting_before_the_other_binds(wire_endpoint: str, deadline: None) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        endpoint = await reserved(wire_endpoint)
        async with open_subject("PUSH", connects=True, soon=True) as subject, libzmq(zmq.PULL) as peer:
            subject.socket.connect(endpoint)
            await subject.until("ConnectRetried", 2)
            peer.bind(endpoint)
            await subject.until("Handshaken")
            return without_repetition(subject.told(), FAILED)

    theirs, ours = await both(scenario)
    assert theirs == ours == [*FAILED, "Connected", "Handshaken"]


async def test_connecting_at_once(wire_endpoint: str, deadline: None) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        async with open_subject("PUSH", connects=True) as subject, libzmq(zmq.PULL) as peer:
            subject.socket.connect(peer.bind(wire_endpoint))
            await subject.until("Handshaken")
            return subject.told()

    theirs, ours = await both(scenario)
    assert theirs == ours == ["Connected", "Handshaken"]


async def test_a_peer_that_goes_and_comes_back_is_retried(wire_endpoint: str, deadline: None) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        async with open_subject("PUSH", connects=True, soon=True) as subject:
            async with libzmq(zmq.PULL) as peer:
                endpoint = peer.bind(wire_endpoint)
                subject.socket.connect(endpoint)
                await subject.until("Handshaken")
            await subject.until("ConnectRetried", 2)
            async with libzmq(zmq.PULL) as peer:
                peer.bind(endpoint)
                await subject.until("Handshaken", 2)
                return without_repetition(subject.told(), FAILED)

    theirs, ours = await both(scenario)
    assert theirs == ours
    assert ours == ["Connected", "Handshaken", "Disconnected", "ConnectRetried", *FAILED, "Connected", "Handshaken"]


@pytest.mark.parametrize("says", [b"", b"no greeting"])
async def test_a_listener_that_hangs_up_in_the_handshake_is_retried(
    wire_endpoint: str, says: bytes, deadline: None
) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        endpoint = await reserved(wire_endpoint)
        async with open_subject("PUSH", connects=True, soon=True) as subject:
            with bare(endpoint, listens=True) as plain:
                subject.socket.connect(endpoint)
                for number in range(1, 4):
                    connection, _ = await trio.to_thread.run_sync(plain.accept)
                    await subject.until("Connected", number)
                    with connection:
                        await trio.to_thread.run_sync(connection.recv, 1)
                        connection.sendall(says)
                    await subject.until("HandshakeFailed", number)
                await subject.until("ConnectRetried", 3)
                return subject.told()

    theirs, ours = await both(scenario)
    assert theirs == ours == ["Connected", "HandshakeFailed", "ConnectRetried"] * 3


# -- listening ---------------------------------------------------------------------------------------------


async def test_peers_that_are_accepted_and_go(wire_endpoint: str, deadline: None) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        async with open_subject("PULL", connects=False) as subject:
            endpoint = subject.socket.bind(wire_endpoint)
            for number in range(1, 4):
                async with libzmq(zmq.PUSH) as peer:
                    peer.connect(endpoint)
                    await subject.until("Handshaken", number)
                await subject.until("Disconnected", number)
            return subject.told()

    theirs, ours = await both(scenario)
    assert theirs == ours == ["Listening", *["Accepted", "Handshaken", "Disconnected"] * 3]


async def test_a_peer_that_disconnects(wire_endpoint: str, deadline: None) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        async with open_subject("PULL", connects=False) as subject, libzmq(zmq.PUSH) as peer:
            endpoint = subject.socket.bind(wire_endpoint)
            peer.connect(endpoint)
            await subject.until("Handshaken")
            peer.disconnect(endpoint)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(look_at, peer)
                await subject.until("Disconnected")
                nursery.cancel_scope.cancel()
            return subject.told()

    theirs, ours = await both(scenario)
    assert theirs == ours == ["Listening", "Accepted", "Handshaken", "Disconnected"]


@pytest.mark.parametrize("says", [b"", b"\xff", b"GET / HTTP/1.1\r\n\r\n", b"\xff\0\0\0\0\0\0\0\1\x7f\3\1UNKNOWN"])
async def test_a_peer_that_hangs_up_in_the_handshake(wire_endpoint: str, says: bytes, deadline: None) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        async with open_subject("PULL", connects=False) as subject:
            endpoint = subject.socket.bind(wire_endpoint)
            for number in range(1, 4):
                with bare(endpoint) as plain:
                    await subject.until("Accepted", number)
                    plain.sendall(says)
                await subject.until("HandshakeFailed", number)
            async with libzmq(zmq.PUSH) as peer:
                peer.connect(endpoint)
                await subject.until("Handshaken")
            return subject.told()

    theirs, ours = await both(scenario)
    assert theirs == ours
    assert ours == ["Listening", *["Accepted", "HandshakeFailed"] * 3, "Accepted", "Handshaken"]


async def test_a_peer_that_says_nothing_is_given_up(wire_endpoint: str, deadline: None) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        async with open_subject("PULL", connects=False) as subject:
            with bare(subject.socket.bind(wire_endpoint)):
                await subject.until("HandshakeFailed")
            return subject.told()

    theirs, ours = await both(scenario)
    assert theirs == ours == ["Listening", "Accepted", "HandshakeFailed"]


async def test_a_peer_of_the_wrong_type(wire_endpoint: str, deadline: None) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        async with open_subject("PULL", connects=False) as subject, libzmq(zmq.PAIR) as peer:
            peer.connect(subject.socket.bind(wire_endpoint))
            await subject.until("HandshakeFailed")
            return subject.told()

    theirs, ours = await both(scenario)
    assert theirs == ours == ["Listening", "Accepted", "HandshakeFailed"]


# -- our own end, of which we tell more ----------------------------------------------------------------------


async def test_an_endpoint_that_is_unbound_is_closed_and_with_us_its_connections_end_before(
    wire_endpoint: str, deadline: None
) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        async with open_subject("PULL", connects=False) as subject, libzmq(zmq.PUSH) as one, libzmq(zmq.PUSH) as two:
            endpoint = subject.socket.bind(wire_endpoint)
            for number, peer in enumerate((one, two), 1):
                peer.connect(endpoint)
                await subject.until("Handshaken", number)
            subject.socket.unbind(endpoint)
            await subject.until("Closed")
            return subject.told()

    theirs, ours = await both(scenario)
    begun = ["Listening", *["Accepted", "Handshaken"] * 2]
    assert theirs == [*begun, "Closed"]
    assert ours == [*begun, "Disconnected", "Disconnected", "Closed"]


async def test_an_endpoint_that_is_disconnected_is_told_by_us_alone(wire_endpoint: str, deadline: None) -> None:
    async def scenario(open_subject: Any) -> list[str]:
        async with open_subject("PUSH", connects=True) as subject, libzmq(zmq.PULL) as peer:
            endpoint = peer.bind(wire_endpoint)
            subject.socket.connect(endpoint)
            await subject.until("Handshaken")
            subject.socket.disconnect(endpoint)
            if open_subject is our:
                await subject.until("Closed")
            subject.socket.connect(endpoint)
            await subject.until("Handshaken", 2)
            return subject.told()

    theirs, ours = await both(scenario)
    assert theirs == ["Connected", "Handshaken"] * 2
    assert ours == ["Connected", "Handshaken", "Disconnected", "Closed", "Connected", "Handshaken"]
