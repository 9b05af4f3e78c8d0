"""Does a connection with libzmq last, and come back? Heartbeats, and either side gone for a while."""

from __future__ import annotations

import pytest
import trio
import zmq

import mq

from ..conftest import next_event, until
from .libzmq import libzmq

FAST = {"RECONNECT_IVL": 10, "RECONNECT_IVL_MAX": 10}


async def _address(endpoint: str) -> str:
    async with mq.Pull() as pull:
        return pull.bind(endpoint)


async def test_we_come_back_to_a_libzmq_that_was_away(wire_endpoint: str, deadline: None) -> None:
    address = await _address(wire_endpoint)
    async with mq.Push(reconnect_interval=0.01, reconnect_interval_max=0.01) as push:
        push.connect(address)
        for number in range(3):
            async with libzmq(zmq.PULL) as theirs:
                theirs.bind(address)
                await push.send(b"%d" % number)
                assert await theirs.receive() == [[b"%d" % number]]
            await until(lambda: not push.statistics().peers[0].connected)
        assert push.statistics().reconnects == 2


async def test_libzmq_comes_back_to_us_when_we_were_away(wire_endpoint: str, deadline: None) -> None:
    address = await _address(wire_endpoint)
    async with libzmq(zmq.PUSH, IMMEDIATE=1, **FAST) as theirs:
        theirs.connect(address)
        for number in range(3):
            async with mq.Pull() as pull:
                pull.bind(address)
                await pull.wait_connected()
                await theirs.send([b"%d" % number])
                assert await pull.receive() == b"%d" % number


async def test_a_libzmq_that_connects_may_go_and_come(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull:
        address = pull.bind(wire_endpoint)
        for number in range(3):
            async with libzmq(zmq.PUSH) as theirs:
                theirs.connect(address)
                await theirs.send([b"%d" % number])
                assert await pull.receive() == b"%d" % number
            await until(lambda: not pull.statistics().peers)


async def test_we_that_connect_may_go_and_come(wire_endpoint: str, deadline: None) -> None:
    async with libzmq(zmq.PULL) as theirs:
        address = theirs.bind(wire_endpoint)
        for number in range(3):
            async with mq.Push() as push:
                push.connect(address)
                await push.send(b"%d" % number)
        got = [frames for ((frames,),) in [await theirs.receive() for _ in range(3)]]
        assert sorted(got) == [b"0", b"1", b"2"]


async def test_what_waits_for_a_libzmq_that_is_away_reaches_it_later(wire_endpoint: str, deadline: None) -> None:
    address = await _address(wire_endpoint)
    async with mq.Push(reconnect_interval=0.01, reconnect_interval_max=0.01) as push:
        push.connect(address)
        for number in range(500):
            await push.send(b"%d" % number)
        async with libzmq(zmq.PULL) as theirs:
            theirs.bind(address)
            assert await theirs.receive(500) == [[b"%d" % number] for number in range(500)]


@pytest.mark.parametrize("binder", ["ours", "theirs"])
async def test_a_libzmq_peer_with_heartbeats_keeps_the_connection(
    wire_endpoint: str, binder: str, deadline: None
) -> None:
    heartbeats = {"HEARTBEAT_IVL": 20, "HEARTBEAT_TIMEOUT": 5000, "HEARTBEAT_TTL": 10_000}
    async with (
        libzmq(zmq.PAIR, **heartbeats) as theirs,
        mq.Pair(heartbeat_interval=None) as pair,
        pair.monitor() as events,
    ):
        if binder == "ours":
            theirs.connect(pair.bind(wire_endpoint))
        else:
            pair.connect(theirs.bind(wire_endpoint))
        await next_event(events, mq.Handshaken)
        # A PING takes 9 bytes and its PONG 7; we answer every one.
        before = pair.statistics()
        await until(lambda: pair.statistics().bytes_in >= before.bytes_in + 5 * 9)
        await until(lambda: pair.statistics().bytes_out >= before.bytes_out + 5 * 7)
        await pair.send(b"still there")
        assert await theirs.receive() == [[b"still there"]]
        await theirs.send([b"so are we"])
        assert await pair.receive() == b"so are we"
        with pytest.raises(trio.WouldBlock):
            events.receive_nowait()


async def test_our_heartbeats_are_answered_by_libzmq(wire_endpoint: str, deadline: None) -> None:
    async with (
        libzmq(zmq.PAIR) as theirs,
        mq.Pair(heartbeat_interval=0.02, heartbeat_timeout=5.0) as pair,
        pair.monitor() as events,
    ):
        theirs.connect(pair.bind(wire_endpoint))
        await next_event(events, mq.Handshaken)
        before = pair.statistics().bytes_in
        await until(lambda: pair.statistics().bytes_in >= before + 5 * 7)
        with pytest.raises(trio.WouldBlock):
            events.receive_nowait()
