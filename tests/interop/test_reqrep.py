"""Do requests and replies pass between us and libzmq, with libzmq on either side, and in between?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import zmq

import mq

from ..conftest import until
from ..links.raw import raw_peer
from ..patterns.meeting import another, numbered
from ..protocols.wire import frame, multipart
from .libzmq import libzmq

BODIES = [[b""], [b"one"], [b"a", b"", b"c"], [bytes(300), b""], [bytes(100_000)]]


async def echo(message: Any) -> Any:
    return message


@pytest.mark.parametrize("options", [{}, {"req_correlate": True}, {"req_relaxed": True, "req_correlate": True}])
async def test_a_req_of_ours_in_lockstep_with_libzmqs_rep(
    wire_endpoint: str, options: dict[str, Any], deadline: None
) -> None:
    async with libzmq(zmq.REP) as theirs, mq.Req(**options) as req:
        req.connect(theirs.bind(wire_endpoint))
        for frames in BODIES:
            await req.send_multipart(frames)
            assert await theirs.receive() == [frames]
            await theirs.send([b"re", *frames])
            assert await req.receive_multipart() == [b"re", *frames]


@pytest.mark.parametrize("kind", [mq.Rep, mq.Router])
@pytest.mark.parametrize("options", [{}, {"REQ_CORRELATE": 1, "REQ_RELAXED": 1}])
async def test_reqs_of_libzmq_are_served(
    wire_endpoint: str, kind: Any, options: dict[str, int], deadline: None
) -> None:
    async with kind() as serving, trio.open_nursery() as nursery:
        address = serving.bind(wire_endpoint)
        nursery.start_soon(serving.serve, echo)

        async def ask() -> None:
            async with libzmq(zmq.REQ, **options) as theirs:
                theirs.connect(address)
                for frames in BODIES * 5:
                    await theirs.send(frames)
                    assert await theirs.receive() == [frames]

        async with trio.open_nursery() as clients:
            for _ in range(4):
                clients.start_soon(ask)
        assert serving.statistics().dropped == {}
        nursery.cancel_scope.cancel()


async def test_a_dealer_of_libzmq_gets_replies_in_the_order_of_its_requests(wire_endpoint: str, deadline: None) -> None:
    async with mq.Rep() as rep, libzmq(zmq.DEALER) as theirs, trio.open_nursery() as nursery:
        theirs.connect(rep.bind(wire_endpoint))
        nursery.start_soon(rep.serve, echo)
        await theirs.send(*([b"", message] for message in numbered(500)))
        assert await theirs.receive(500) == [[b"", message] for message in numbered(500)]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def broker(front_at: str, back_at: str) -> AsyncIterator[tuple[str, str]]:
    """Run a broker of libzmq; yield where clients and workers connect."""
    async with libzmq(zmq.ROUTER) as front, libzmq(zmq.DEALER) as back, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def both() -> None:
            while True:
                for source, sink in ((front, back), (back, front)):
                    while await source.pending(1):
                        await sink.send(*await source.receive())

        yield front.bind(front_at), back.bind(back_at)
        nursery.cancel_scope.cancel()


async def test_requests_pass_through_a_broker_of_libzmq_to_workers_of_ours(wire_endpoint: str, deadline: None) -> None:
    async with broker(wire_endpoint, another(wire_endpoint)) as (front, back), trio.open_nursery() as nursery:

        async def work() -> None:
            async with mq.Rep() as rep:
                rep.connect(back)
                await rep.serve(echo)

        for _ in range(3):
            nursery.start_soon(work)
        async with mq.Req() as req:
            req.connect(front)

            async def ask(message: bytes) -> None:
                assert await req.request(message) == message

            async with trio.open_nursery() as clients:
                for message in numbered(60):
                    clients.start_soon(ask, message)
            assert req.statistics().dropped == {}
        nursery.cancel_scope.cancel()


async def test_a_rep_of_libzmq_that_is_restarted_is_asked_again(wire_endpoint: str, deadline: None) -> None:
    async with mq.Req(reconnect_interval=0.01) as req:
        async with trio.open_nursery() as nursery, libzmq(zmq.REP) as theirs:
            address = theirs.bind(wire_endpoint)
            req.connect(address)

            @nursery.start_soon
            async def ask_in_vain() -> None:
                with pytest.raises(mq.PeerLost):
                    await req.request(b"one")

            assert await theirs.receive() == [[b"one"]]
        async with libzmq(zmq.REP) as theirs, trio.open_nursery() as nursery:
            theirs.bind(address)

            @nursery.start_soon
            async def ask() -> None:
                assert await req.request(b"two") == b"reply"

            assert await theirs.receive() == [[b"two"]]
            await theirs.send([b"reply"])


async def test_what_a_hostile_requester_says_costs_its_own_connection_only(wire_endpoint: str, deadline: None) -> None:
    async with mq.Rep() as rep, mq.Req() as good, trio.open_nursery() as nursery:
        address = rep.bind(wire_endpoint)
        nursery.start_soon(rep.serve, echo)
        good.connect(address)
        for garbage in (b"\xff" * 100, frame(b"", 0xF8), frame(b"\x05READY", 4), b"\x02" + b"\xff" * 8):
            async with raw_peer(address) as raw:
                await raw.shake_hands(b"REQ")
                await raw.say(multipart(b"", b"fine"))
                assert await raw.hear(8) == multipart(b"", b"fine")
                await raw.say(garbage)
                if not garbage.startswith((b"\x02", b"\x04")):
                    await raw.hear_end()
            assert await good.request(b"good") == b"good"
        nursery.cancel_scope.cancel()


async def test_one_that_asks_and_asks_and_takes_no_reply_fills_no_memory(wire_endpoint: str, deadline: None) -> None:
    async with mq.Rep(send_hwm=10, receive_hwm=10) as rep, mq.Req() as good, trio.open_nursery() as nursery:
        address = rep.bind(wire_endpoint)

        async def answer(message: Any) -> Any:
            return bytes(500_000) if message == b"more" else message

        nursery.start_soon(rep.serve, answer)
        good.connect(address)
        async with raw_peer(address) as raw:
            await raw.shake_hands(b"REQ")
            await raw.say(multipart(b"", b"more") * 2000)
            await until(lambda: sum(rep.statistics().dropped.values()) > 0 or rep.statistics().messages_in >= 2000)
            assert rep.statistics().queued_out <= 11
            assert await good.request(b"good") == b"good"
        nursery.cancel_scope.cancel()
    assert rep.statistics().dropped
