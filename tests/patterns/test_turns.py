"""Do the other tasks have their turn while large messages are sent and received? Counted in bytes, not in messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

import mq

from ..conftest import Turns, married, until
from .meeting import another, subscribed

SIZE = 128 * 1024
COUNT = 64
LEAST = COUNT * SIZE // (1024 * 1024) - 3
"""Turns that others have: one for each mebibyte, but for the first and the last."""

BODY = bytes(SIZE)
Send = Callable[[Any], Awaitable[None]]


async def send(socket: Any) -> None:
    for _ in range(COUNT):
        await socket.send(BODY)


async def send_frames(socket: Any) -> None:
    for _ in range(COUNT):
        await socket.send_multipart([b"topic", BODY])


async def send_many_frames(socket: Any) -> None:
    part = bytes(SIZE // 32)
    for _ in range(COUNT):
        await socket.send_multipart([part] * 32)


async def send_large_among_small(socket: Any) -> None:
    for _ in range(COUNT):
        await socket.send(b"small")
        await socket.send(BODY)


async def send_list(socket: Any) -> None:
    await socket.send_many([BODY] * COUNT)


async def send_what_an_iterator_makes(socket: Any) -> None:
    await socket.send_many(bytes(SIZE) for _ in range(COUNT))


async def send_to_the_only_peer(socket: Any) -> None:
    (address,) = socket._by_address
    for _ in range(COUNT):
        if isinstance(address, int):
            await socket.send(BODY, address)
        else:
            await socket.send_multipart([address, BODY])


async def send_to_the_group(socket: Any) -> None:
    for _ in range(COUNT):
        await socket.send(b"group", BODY)


SENDING: list[tuple[Any, Any, Send]] = [
    (mq.Push, mq.Pull, send),
    (mq.Push, mq.Pull, send_frames),
    (mq.Push, mq.Pull, send_many_frames),
    (mq.Push, mq.Pull, send_large_among_small),
    (mq.Push, mq.Pull, send_list),
    (mq.Push, mq.Pull, send_what_an_iterator_makes),
    (mq.Pair, mq.Pair, send),
    (mq.Channel, mq.Channel, send),
    (mq.Router, mq.Dealer, send_to_the_only_peer),
    (mq.Server, mq.Client, send_to_the_only_peer),
    (mq.Pub, mq.Sub, send),
    (mq.Pub, mq.Sub, send_frames),
    (mq.Pub, mq.Sub, send_list),
    (mq.Radio, mq.Dish, send_to_the_group),
]
IDS = [f"{sender.__name__} {way.__name__}" for sender, _, way in SENDING]


@asynccontextmanager
async def counted() -> AsyncIterator[Turns]:
    """Count the turns of another task."""
    turns = Turns()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.take)
        await trio.lowlevel.checkpoint()
        yield turns
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def joined(sender: Any, receiver: Any, endpoint: str) -> AsyncIterator[tuple[Any, Any]]:
    """Join sockets without limits: no send waits, and whoever sends lets others run for the sake of its turn only."""
    source, sink = sender(send_hwm=0, linger=0), receiver(receive_hwm=0)
    if isinstance(sink, mq.Sub):
        async with subscribed(source, sink, endpoint, b"") as pair:
            yield pair
        return
    async with married(sink, source, endpoint):
        if isinstance(sink, mq.Dish):
            sink.join(b"group")
            await source.wait_joined(b"group")
        yield source, sink


@pytest.mark.parametrize(("sender", "receiver", "way"), SENDING, ids=IDS)
async def test_sending_large_messages_lets_others_run(
    sender: Any, receiver: Any, way: Send, endpoint: str, deadline: None
) -> None:
    async with joined(sender, receiver, endpoint) as (source, _), counted() as turns:
        before = turns.count
        await way(source)
        assert turns.count - before >= LEAST


async def test_copies_for_several_peers_count(endpoint: str, deadline: None) -> None:
    async with mq.Sub(receive_hwm=0) as one, mq.Sub(receive_hwm=0) as other, mq.Pub(send_hwm=0, linger=0) as pub:
        for sub in (one, other):
            sub.subscribe(b"")
            pub.connect(sub.bind(endpoint if sub is one else another(endpoint)))
        await pub.wait_subscribed(b"", 2)
        async with counted() as turns:
            before = turns.count
            await send(pub)
            assert turns.count - before >= 2 * LEAST


async def receive(socket: Any) -> None:
    for _ in range(COUNT):
        await socket.receive()


async def receive_frames(socket: Any) -> None:
    for _ in range(COUNT):
        await socket.receive_multipart()


async def receive_lists(socket: Any) -> None:
    left = COUNT
    while left:
        left -= len(await socket.receive_many())


@pytest.mark.parametrize("way", [receive, receive_frames, receive_lists])
async def test_receiving_large_messages_lets_others_run(way: Send, endpoint: str, deadline: None) -> None:
    async with joined(mq.Push, mq.Pull, endpoint) as (push, pull):
        await send(push)
        await until(lambda: pull.statistics().queued_in == COUNT)
        async with counted() as turns:
            before = turns.count
            await way(pull)
            assert turns.count - before >= LEAST


async def test_a_list_of_large_messages_is_short(endpoint: str, deadline: None) -> None:
    async with joined(mq.Push, mq.Pull, endpoint) as (push, pull):
        await send(push)
        await until(lambda: pull.statistics().queued_in == COUNT)
        assert len(await pull.receive_many()) == 1024 * 1024 // SIZE


async def test_a_turn_of_small_messages_stays_as_long_as_it_was(deadline: None) -> None:
    async with joined(mq.Push, mq.Pull, "inproc://small") as (push, _), counted() as turns:
        before = turns.count
        for _ in range(1000):
            await push.send(bytes(1000))
        assert turns.count - before <= 5
