"""What does a second connect() to the same endpoint do? Nothing, or a second connection: the type decides."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import zmq

import mq

from ..conftest import until
from ..interop.libzmq import libzmq
from .meeting import another

ONCE = {mq.Sub: mq.Pub, mq.Pub: mq.Sub, mq.XPub: mq.XSub, mq.Dealer: mq.Router, mq.Req: mq.Rep, mq.Radio: mq.Dish,
        mq.Dish: mq.Radio}  # fmt: skip
TWICE = {mq.Push: mq.Pull, mq.Pull: mq.Push, mq.XSub: mq.XPub, mq.Router: mq.Dealer, mq.Rep: mq.Dealer,
         mq.Client: mq.Server, mq.Scatter: mq.Gather, mq.Gather: mq.Scatter, mq.Peer: mq.Peer}  # fmt: skip


def named(types: dict[Any, Any]) -> Any:
    return pytest.mark.parametrize(("connecter", "binder"), types.items(), ids=[each.__name__ for each in types])


def connections(socket: mq.Socket) -> int:
    return len(socket.statistics().peers)


@named(ONCE)
async def test_a_second_connect_changes_nothing(endpoint: str, connecter: Any, binder: Any, deadline: None) -> None:
    async with binder() as bound, connecter() as socket:
        endpoint = bound.bind(endpoint)
        socket.connect(endpoint)
        await bound.wait_connected()
        socket.connect(endpoint)
        assert connections(socket) == 1
        socket.disconnect(endpoint)
        with pytest.raises(mq.InvalidEndpoint):
            socket.disconnect(endpoint)
        await until(lambda: not connections(bound))
        socket.connect(endpoint)
        await bound.wait_connected()
        await socket.wait_connected()


@named(TWICE)
async def test_each_connect_makes_a_connection(endpoint: str, connecter: Any, binder: Any, deadline: None) -> None:
    async with binder() as bound, connecter() as socket:
        endpoint = bound.bind(endpoint)
        socket.connect(endpoint)
        socket.connect(endpoint)
        await bound.wait_connected(2)
        socket.disconnect(endpoint)
        await until(lambda: connections(bound) == 1)
        socket.disconnect(endpoint)
        await until(lambda: not connections(bound))
        with pytest.raises(mq.InvalidEndpoint):
            socket.disconnect(endpoint)


@pytest.mark.parametrize("kind", [mq.Pair, mq.Channel])
async def test_the_second_connection_of_a_pair_is_there_for_when_the_first_ends(
    endpoint: str, kind: Any, deadline: None
) -> None:
    async with kind() as bound, kind() as socket:
        endpoint = bound.bind(endpoint)
        socket.connect(endpoint)
        await bound.wait_connected()
        socket.connect(endpoint)
        assert connections(socket) == 2
        socket.disconnect(endpoint)
        socket.disconnect(endpoint)
        with pytest.raises(mq.InvalidEndpoint):
            socket.disconnect(endpoint)


async def test_a_stream_has_a_connection_for_each_connect(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream() as bound, mq.Stream() as socket:
        wire_endpoint = bound.bind(wire_endpoint)
        socket.connect(wire_endpoint)
        socket.connect(wire_endpoint)
        await bound.wait_connected(2)


# -- what the program sees ---------------------------------------------------------------------------------


async def test_a_publication_is_received_once(endpoint: str, deadline: None) -> None:
    async with mq.Pub() as pub, mq.Sub() as sub:
        sub.subscribe(b"")
        endpoint = pub.bind(endpoint)
        sub.connect(endpoint)
        sub.connect(endpoint)
        await pub.wait_subscribed()
        await pub.send(b"once")
        await pub.send(b"last")
        assert [await sub.receive(), await sub.receive()] == [b"once", b"last"]


async def test_the_log_says_once_that_nothing_was_done(
    endpoint: str, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Pub() as pub, mq.Sub() as sub:
        endpoint = pub.bind(endpoint)
        for _ in range(3):
            sub.connect(endpoint)
        [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert record.getMessage() == (
            f"Sub.connect({endpoint!r}) changed nothing: the socket is connected to {endpoint} already, and "
            "connects there only once"
        )


async def test_other_endpoints_get_connections_of_their_own(endpoint: str, deadline: None) -> None:
    async with mq.Sub() as sub, mq.Pub() as one, mq.Pub() as other:
        sub.connect(one.bind(endpoint))
        sub.connect(other.bind(another(endpoint)))
        await one.wait_connected()
        await other.wait_connected()
        assert connections(sub) == 2


async def test_a_connect_right_after_a_disconnect_makes_a_new_connection(endpoint: str, deadline: None) -> None:
    async with mq.Pub() as pub, mq.Sub() as sub, sub.monitor() as events:
        endpoint = pub.bind(endpoint)
        sub.connect(endpoint)
        sub.disconnect(endpoint)
        sub.connect(endpoint)
        await sub.wait_connected()
        async for event in events:
            if isinstance(event, mq.Closed):
                break
        sub.subscribe(b"")
        await pub.wait_subscribed()
        await pub.send(b"here")
        assert await sub.receive() == b"here"


# -- one endpoint, several spellings -----------------------------------------------------------------------

SPELLINGS = [
    ("tcp://127.0.0.1:9", "tcp://127.0.0.1:09"),
    ("tcp://localhost:9", "tcp://LocalHost:9"),
    ("tcp://[::1]:9", "tcp://[0:0::0:1]:9"),
    ("ipc://mq-a-name", f"ipc://{os.getcwd()}/mq-a-name"),
    ("ipc:///tmp/mq-a-name", "ipc:///tmp//./mq-a-name"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
async def test_one_endpoint_in_two_spellings_is_one(one: str, other: str, deadline: None) -> None:
    async with mq.Sub() as sub:
        sub.connect(one)
        sub.connect(other)
        assert connections(sub) == 1
        sub.disconnect(other)


@pytest.mark.parametrize(
    "others",
    [
        ["tcp://127.0.0.1:9", "tcp://127.0.0.1:10", "tcp://127.0.0.2:9", "tcp://127.0.0.1:0;127.0.0.1:9"],
        ["ipc://mq-a-name", "ipc://mq-another", "ipc://@mq-a-name"],
        ["inproc://name", "inproc://Name"],
    ],
    ids=["tcp", "ipc", "inproc"],
)
async def test_endpoints_that_differ_are_several(others: list[str], deadline: None) -> None:
    async with mq.Sub() as sub:
        for endpoint in others:
            sub.connect(endpoint)
        assert connections(sub) == len(others)


# -- names -------------------------------------------------------------------------------------------------


async def test_a_router_with_a_name_of_its_own_does_not_fight_itself(endpoint: str, deadline: None) -> None:
    async with mq.Router() as bound, mq.Router(routing_id=b"X") as socket:
        endpoint = bound.bind(endpoint)
        socket.connect(endpoint, routing_id=b"peer")
        await bound.wait_connected()
        socket.connect(endpoint)
        with pytest.raises(ValueError, match=r"is connected to .* already"):
            socket.connect(endpoint, routing_id=b"another name")
        assert connections(socket) == 1
        await socket.send_multipart([b"peer", b"hello"])
        assert await bound.receive_multipart() == [b"X", b"hello"]


async def test_a_router_without_a_name_may_call_one_peer_by_two(endpoint: str, deadline: None) -> None:
    async with mq.Dealer() as bound, mq.Router() as socket:
        endpoint = bound.bind(endpoint)
        socket.connect(endpoint, routing_id=b"A")
        socket.connect(endpoint, routing_id=b"B")
        for name in (b"A", b"B"):
            await socket.send_multipart([name, name])
        assert {await bound.receive(), await bound.receive()} == {b"A", b"B"}


# -- with libzmq -------------------------------------------------------------------------------------------

LIBZMQ_ONCE = [(mq.Sub, zmq.PUB), (mq.Pub, zmq.SUB), (mq.XPub, zmq.SUB), (mq.Dealer, zmq.ROUTER), (mq.Req, zmq.REP)]
LIBZMQ_TWICE = [(mq.Push, zmq.PULL), (mq.Pull, zmq.PUSH), (mq.XSub, zmq.PUB), (mq.Router, zmq.DEALER),
                (mq.Rep, zmq.REQ)]  # fmt: skip


@asynccontextmanager
async def twice_connected(kind: Any, theirs: int, endpoint: str) -> AsyncIterator[mq.Socket]:
    async with libzmq(theirs, LINGER=0) as bound, kind() as socket:
        endpoint = bound.bind(endpoint)
        socket.connect(endpoint)
        await socket.wait_connected()
        socket.connect(endpoint)
        yield socket


@pytest.mark.parametrize(("kind", "theirs"), LIBZMQ_ONCE)
async def test_libzmq_has_one_connection(wire_endpoint: str, kind: Any, theirs: int, deadline: None) -> None:
    async with twice_connected(kind, theirs, wire_endpoint) as socket:
        assert connections(socket) == 1


@pytest.mark.parametrize(("kind", "theirs"), LIBZMQ_TWICE)
async def test_libzmq_has_two_connections(wire_endpoint: str, kind: Any, theirs: int, deadline: None) -> None:
    async with twice_connected(kind, theirs, wire_endpoint) as socket:
        await socket.wait_connected(2)


async def test_a_publication_of_libzmq_is_received_once(deadline: None) -> None:
    async with libzmq(zmq.XPUB) as bound, mq.Sub() as sub:
        endpoint = bound.bind("tcp://127.0.0.1:*")
        sub.subscribe(b"")
        sub.connect(endpoint)
        sub.connect(endpoint)
        await bound.receive()
        await bound.send([b"once"], [b"last"])
        assert [await sub.receive(), await sub.receive()] == [b"once", b"last"]
