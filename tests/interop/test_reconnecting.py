"""How do we connect, and come back, when the other side is libzmq? Names, sources, timeouts, and giving up."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest
import trio
import zmq

import mq

from ..conftest import next_event
from .libzmq import Libzmq, libzmq

SOON: dict[str, Any] = {"reconnect_interval": 0.005, "reconnect_interval_max": 0.02}

linux = pytest.mark.skipif(sys.platform != "linux", reason="every 127.x address is this machine's on Linux")


async def address_of_next(theirs: Libzmq) -> tuple[bytes, str]:
    """Return the next message, and the address that libzmq says it is from."""
    frame = await theirs._call(lambda: theirs._socket.recv(copy=False))
    return bytes(frame), str(frame.get("Peer-Address"))


# -- names -------------------------------------------------------------------------------------------------


class Names(trio.abc.HostnameResolver):
    """What names stand for in this run."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.asked: list[str] = []

    async def getaddrinfo(self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
                          ) -> Any:  # fmt: skip
        await trio.lowlevel.checkpoint()
        self.asked.append(host.decode())
        found = self.addresses.get(host.decode())
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


@linux
async def test_a_name_is_looked_up_at_every_attempt(deadline: None) -> None:
    names = Names()
    trio.socket.set_custom_hostname_resolver(names)
    async with mq.Push(**SOON) as push, push.monitor() as events:
        async with libzmq(zmq.PULL) as theirs:
            port = theirs.bind("tcp://127.0.0.3:*").rpartition(":")[2]
            push.connect(f"tcp://moving.example:{port}")
            assert "not known" in (await next_event(events, mq.ConnectDelayed)).reason
            names.addresses["moving.example"] = ["127.0.0.2"]
            while "refused" not in (await next_event(events, mq.ConnectDelayed)).reason:
                pass
            names.addresses["moving.example"] = ["127.0.0.3"]
            assert (await next_event(events, mq.Connected)).peer == f"tcp://127.0.0.3:{port}"
            await push.send(b"here")
            assert await theirs.receive() == [[b"here"]]
        await next_event(events, mq.Disconnected)
        names.addresses["moving.example"] = ["127.0.0.4"]
        async with libzmq(zmq.PULL) as theirs:
            theirs.bind(f"tcp://127.0.0.4:{port}")
            await push.send(b"and there")
            assert await theirs.receive() == [[b"and there"]]
    assert len(names.asked) >= 4


@linux
async def test_all_addresses_of_a_name_are_tried(deadline: None) -> None:
    names = Names()
    trio.socket.set_custom_hostname_resolver(names)
    names.addresses["many.example"] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    async with libzmq(zmq.PULL) as theirs, mq.Push(reconnect_interval=None) as push:
        push.connect(f"tcp://many.example:{theirs.bind('tcp://127.0.0.4:*').rpartition(':')[2]}")
        await push.send(b"hello")
        assert await theirs.receive() == [[b"hello"]]


# -- sources -----------------------------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("source", ["127.0.0.2:0", "127.0.0.9:*", "lo:0"])
async def test_libzmq_sees_the_source_that_was_chosen(source: str, deadline: None) -> None:
    async with libzmq(zmq.PULL) as theirs, mq.Push() as push:
        port = theirs.bind("tcp://127.0.0.1:*").rpartition(":")[2]
        push.connect(f"tcp://{source};127.0.0.1:{port}")
        await push.send(b"hello")
        seen = source.partition(":")[0].replace("lo", "127.0.0.1")
        assert await address_of_next(theirs) == (b"hello", seen)


@linux
async def test_we_see_the_source_that_libzmq_chose(deadline: None) -> None:
    async with mq.Pull() as pull, libzmq(zmq.PUSH) as theirs:
        port = pull.bind("tcp://127.0.0.1:*").rpartition(":")[2]
        theirs.connect(f"tcp://127.0.0.2:0;127.0.0.1:{port}")
        await pull.wait_connected()
        [peer] = pull.statistics().peers
        assert peer.peer.startswith("tcp://127.0.0.2:")


@linux
async def test_a_source_is_kept_when_the_connection_comes_back(deadline: None) -> None:
    async with mq.Push(**SOON) as push, push.monitor() as events:
        async with libzmq(zmq.PULL) as theirs:
            endpoint = theirs.bind("tcp://127.0.0.1:*")
            push.connect(f"tcp://127.0.0.2:0;{endpoint.removeprefix('tcp://')}")
            await push.send(b"one")
            assert await address_of_next(theirs) == (b"one", "127.0.0.2")
        await next_event(events, mq.Disconnected)
        async with libzmq(zmq.PULL) as theirs:
            theirs.bind(endpoint)
            await push.send(b"two")
            assert await address_of_next(theirs) == (b"two", "127.0.0.2")


# -- timeouts ----------------------------------------------------------------------------------------------


@linux
async def test_who_does_not_answer_is_given_connect_timeout_and_found_later(deadline: None) -> None:
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        with socket.create_connection(deaf.getsockname()):  # a full queue: whoever comes next is not answered
            async with mq.Push(connect_timeout=0.05, **SOON) as push, push.monitor() as events:
                endpoint = "tcp://127.0.0.1:{1}".format(*deaf.getsockname())
                push.connect(endpoint)
                for _ in range(3):
                    assert (await next_event(events, mq.ConnectDelayed)).reason == "no answer within 0.05 s"
                deaf.close()
                async with libzmq(zmq.PULL) as theirs:
                    theirs.bind(endpoint)
                    await push.send(b"at last")
                    assert await theirs.receive() == [[b"at last"]]


async def test_who_says_nothing_is_given_handshake_timeout_and_tried_again(deadline: None) -> None:
    # A STREAM socket of libzmq takes connections, and says what its program says: nothing.
    async with mq.Push(handshake_timeout=0.05, **SOON) as push, push.monitor() as events:
        async with libzmq(zmq.STREAM, LINGER=0) as silent:
            endpoint = silent.bind("tcp://127.0.0.1:*")
            push.connect(endpoint)
            for _ in range(3):
                failed = await next_event(events, mq.HandshakeFailed)
                assert "no complete handshake within 0.05 s" in failed.reason
        async with libzmq(zmq.PULL) as theirs:
            theirs.bind(endpoint)
            await push.send(b"at last")
            assert await theirs.receive() == [[b"at last"]]


async def test_who_connects_and_says_nothing_is_let_go(deadline: None) -> None:
    pull = mq.Pull(handshake_timeout=0.05)
    async with pull, pull.monitor() as events, libzmq(zmq.STREAM, LINGER=0) as silent, libzmq(zmq.PUSH) as theirs:
        endpoint = pull.bind("tcp://127.0.0.1:*")
        silent.connect(endpoint)
        assert "no complete handshake within 0.05 s" in (await next_event(events, mq.HandshakeFailed)).reason
        theirs.connect(endpoint)
        await theirs.send([b"hello"])
        assert await pull.receive() == b"hello"


# -- giving up ---------------------------------------------------------------------------------------------


async def kinds_until_closed(events: Any) -> list[str]:
    """Return the kinds of events up to the end of the endpoint."""
    kinds = []
    async for event in events:
        kinds.append(type(event).__name__)
        if isinstance(event, mq.Closed):
            break
    return kinds


@pytest.mark.parametrize("stop", [{"refused"}, {"refused", "handshake", "disconnect"}], ids=str)
async def test_giving_up_when_libzmq_does_not_listen_any_more(
    wire_endpoint: str, stop: set[str], deadline: None
) -> None:
    async with libzmq(zmq.PULL) as theirs:
        endpoint = theirs.bind(wire_endpoint)
    async with mq.Push(**SOON, reconnect_stop=frozenset(stop)) as push, push.monitor() as events:
        push.connect(endpoint)
        assert await kinds_until_closed(events) == ["ConnectDelayed", "Closed"]


async def test_giving_up_when_libzmq_is_the_wrong_type(wire_endpoint: str, deadline: None) -> None:
    push = mq.Push(**SOON, reconnect_stop=frozenset({"handshake"}))
    async with libzmq(zmq.SUB) as theirs, push, push.monitor() as events:
        push.connect(theirs.bind(wire_endpoint))
        assert await kinds_until_closed(events) == ["Connected", "HandshakeFailed", "Closed"]


async def test_giving_up_when_libzmq_has_gone(wire_endpoint: str, deadline: None) -> None:
    push = mq.Push(**SOON, reconnect_stop=frozenset({"disconnect"}))
    async with push, push.monitor() as events:
        async with libzmq(zmq.PULL) as theirs:
            push.connect(theirs.bind(wire_endpoint))
            await push.send(b"hello")
            assert await theirs.receive() == [[b"hello"]]
        assert await kinds_until_closed(events) == ["Connected", "Handshaken", "Disconnected", "Closed"]


async def test_not_giving_up_after_an_end_that_was_not_named(wire_endpoint: str, deadline: None) -> None:
    push = mq.Push(**SOON, reconnect_stop=frozenset({"handshake"}))
    async with push, push.monitor() as events:
        for number in range(3):
            async with libzmq(zmq.PULL) as theirs:
                if not number:
                    wire_endpoint = theirs.bind(wire_endpoint)
                    push.connect(wire_endpoint)
                else:
                    theirs.bind(wire_endpoint)
                await push.send(b"%d" % number)
                assert await theirs.receive() == [[b"%d" % number]]
            await next_event(events, mq.Disconnected)
