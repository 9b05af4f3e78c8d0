"""Is a peer that is turned away told before it sends? What it sent would be lost, and it would come back too soon."""

from __future__ import annotations

from typing import Any

import pytest
import zmq

import mq

from ..conftest import next_event, until
from ..protocols.wire import frame, opening
from .raw import raw_peer

TAKEN = "another peer has the routing id b'me'"


@pytest.mark.parametrize("kind", [mq.Dealer, mq.Req])
async def test_a_second_peer_with_the_same_name_keeps_its_messages_until_it_is_taken(
    wire_endpoint: str, kind: Any, deadline: None
) -> None:
    async with mq.Router() as router, kind(routing_id=b"me") as second, second.monitor() as events:
        address = router.bind(wire_endpoint)
        async with kind(routing_id=b"me") as first:
            first.connect(address)
            await router.wait_connected()
            second.connect(address)
            failed = await next_event(events, mq.HandshakeFailed)
            assert "has a peer with our routing id" in failed.reason
            await second.send(b"still here")
            await next_event(events, mq.HandshakeFailed)
            assert second.statistics().queued_out == 1
        assert (await router.receive_multipart())[-1] == b"still here"
        assert second.statistics().dropped == {}


async def test_one_that_comes_again_and_again_pauses_longer_each_time(wire_endpoint: str, deadline: None) -> None:
    async with mq.Router() as router, mq.Dealer(routing_id=b"me") as first, mq.Dealer(routing_id=b"me") as second:
        address = router.bind(wire_endpoint)
        first.connect(address)
        await router.wait_connected()
        async with second.monitor() as events:
            second.connect(address)
            delays = [(await next_event(events, mq.ConnectRetried)).delay for _ in range(3)]
        assert delays == sorted(set(delays))


async def test_libzmq_is_told_as_well_and_taken_when_it_comes_back(wire_endpoint: str, deadline: None) -> None:
    async with mq.Router() as router:
        address = router.bind(wire_endpoint)
        context = zmq.Context()
        dealer = context.socket(zmq.DEALER)
        try:
            dealer.set(zmq.IDENTITY, b"me")
            async with mq.Dealer(routing_id=b"me") as first, router.monitor() as events:
                first.connect(address)
                await router.wait_connected()
                dealer.connect(address)
                dealer.send(b"from libzmq")
                assert TAKEN in (await next_event(events, mq.HandshakeFailed)).reason
                await next_event(events, mq.HandshakeFailed)
            assert await router.receive_multipart() == [b"me", b"from libzmq"]
        finally:
            dealer.close(0)
            context.term()


@pytest.mark.parametrize("kind", [mq.Router, mq.Pair])
async def test_a_peer_that_waits_for_our_ready_gets_it(wire_endpoint: str, kind: Any, deadline: None) -> None:
    socket_type, say = (b"DEALER", frame(b"hi")) if kind is mq.Router else (b"PAIR", frame(b"hi"))
    async with kind() as socket, raw_peer(socket.bind(wire_endpoint)) as raw:
        said = opening(socket_type)
        await raw.say(said[:64])
        await raw.hear(64)
        _, body = await raw.hear_frame()
        assert body.startswith(b"\x05READY")
        await raw.say(said[64:] + say)
        assert (await socket.receive_multipart())[-1] == b"hi"


async def test_of_two_pairs_that_shake_hands_together_the_second_is_told(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pair() as pair:
        address = pair.bind(wire_endpoint)
        async with raw_peer(address) as one, raw_peer(address) as other:
            said = opening(b"PAIR")
            for raw in (one, other):
                await raw.say(said[:40])
                await raw.hear(10)
            await one.say(said[40:])
            await pair.wait_connected()
            await other.say(said[40:])
            heard = await other.hear_end()
            assert b"READY" not in heard
            await one.say(frame(b"unharmed"))
            assert await pair.receive() == b"unharmed"


async def test_one_whose_name_becomes_free_is_taken(wire_endpoint: str, deadline: None) -> None:
    async with mq.Router() as router:
        address = router.bind(wire_endpoint)
        async with mq.Dealer(routing_id=b"me") as second:
            async with mq.Dealer(routing_id=b"me") as first:
                first.connect(address)
                await router.wait_connected()
                second.connect(address)
                await until(lambda: len(router.statistics().peers) == 1)
            await second.wait_connected()
            await second.send(b"now")
            assert await router.receive_multipart() == [b"me", b"now"]


async def test_within_the_process_each_side_is_told_of_the_other_and_asks_less_and_less_often(deadline: None) -> None:
    async with mq.Pull() as pull, mq.Req() as req, pull.monitor() as pulls, req.monitor() as reqs:
        req.connect(pull.bind("inproc://misfits"))
        assert (await next_event(pulls, mq.HandshakeFailed)).reason == (
            "incompatible socket types: PULL talks to PUSH, the peer is REQ"
        )
        assert (await next_event(reqs, mq.HandshakeFailed)).reason == (
            "incompatible socket types: REQ talks to REP or ROUTER, the peer is PULL"
        )
        delays = [(await next_event(reqs, mq.ConnectRetried)).delay for _ in range(3)]
        assert delays == sorted(set(delays))
