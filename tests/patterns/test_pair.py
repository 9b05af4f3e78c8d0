"""Does PAIR keep to one peer? Both directions, and what becomes of a second one."""

from __future__ import annotations

import pytest
import trio

import mq

from ..conftest import married, next_event, until
from .meeting import numbered, receive_all


async def test_both_sides_send_and_receive_at_once(endpoint: str, deadline: None) -> None:
    async with married(mq.Pair(), mq.Pair(), endpoint) as (one, two), trio.open_nursery() as nursery:

        async def stream(pair: mq.Pair) -> None:
            for message in numbered(5000):
                await pair.send(message)

        async def check(pair: mq.Pair) -> None:
            assert await receive_all(pair, 5000) == numbered(5000)

        for pair in (one, two):
            nursery.start_soon(stream, pair)
            nursery.start_soon(check, pair)


async def test_a_dialogue_goes_back_and_forth(endpoint: str, deadline: None) -> None:
    async with married(mq.Pair(), mq.Pair(), endpoint) as (one, two), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def echo() -> None:
            for _ in range(500):
                await two.send_multipart(await two.receive_multipart())

        for message in numbered(500):
            await one.send(message)
            assert await one.receive() == message


async def test_a_second_peer_is_turned_away_and_taken_when_the_first_has_left(endpoint: str, deadline: None) -> None:
    async with mq.Pair() as pair, mq.Pair(reconnect_interval=0.01, reconnect_interval_max=0.01) as second:
        address = pair.bind(endpoint)
        async with mq.Pair() as first:
            first.connect(address)
            await pair.wait_connected()
            await first.wait_connected()
            async with pair.monitor() as events:
                second.connect(address)
                refused = await next_event(events, mq.HandshakeFailed)
            assert "one at a time" in refused.reason
            assert refused.endpoint == address
            await second.send(b"waits for its turn")
            await first.send(b"from the first")
            assert await pair.receive() == b"from the first"
            with pytest.raises(trio.WouldBlock):
                pair.receive_nowait()
        assert await pair.receive() == b"waits for its turn"
        await pair.send(b"welcome")
        assert await second.receive() == b"welcome"


async def test_messages_that_the_first_peer_did_not_get_are_not_the_seconds(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Pair(send_hwm=2) as pair:
        address = pair.bind(wire_endpoint)
        async with pair.monitor() as events, mq.Pair() as second:
            async with mq.Pair(receive_hwm=1) as first:
                first.connect(address)
                await pair.wait_connected()
                for message in (b"fills the inbox", b"keeps the reader from reading on"):
                    await pair.send(message)
                await until(lambda: first.statistics().peers[0].messages_in == 2)
                await pair.send(bytes(64 * 1024 * 1024))  # more than any kernel holds
                await pair.send(b"behind it")
            dropped = await next_event(events, mq.Dropped)
            assert dropped.count > 0
            second.connect(address)
            await second.wait_connected()
            await pair.send(b"for the second")
            assert await second.receive() == b"for the second"


async def test_a_peer_that_comes_back_is_the_same_pipe_to_the_one_who_connects(
    endpoint: str, deadline: None
) -> None:
    async with mq.Pair() as connecter:
        async with mq.Pair() as binder:
            address = binder.bind(endpoint)
            connecter.connect(address)
            await connecter.send(b"one")
            assert await binder.receive() == b"one"
        await until(lambda: not connecter.statistics().peers[0].connected)
        await connecter.send(b"two")
        async with mq.Pair() as binder:
            assert binder.bind(address) == address
            assert await binder.receive() == b"two"
            await binder.send(b"three")
            assert await connecter.receive() == b"three"
