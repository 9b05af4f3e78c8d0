"""Who filters? A publisher that does so exactly says it, and a subscriber that believes it looks no second time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import zmq

import mq

from ..conftest import until
from ..interop.libzmq import libzmq
from ..links.raw import Raw, raw_peer, raw_server
from ..protocols.wire import frame, greeting, multipart, ready

FILTER = b"\x06Filter\x00\x00\x00\x05exact"
EXACT = greeting() + ready(Socket_Type=b"PUB", Filter=b"exact")


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        (mq.Pub, {}, True),
        (mq.Pub, {"xpub_nodrop": True, "last_values": 5}, True),
        (mq.Pub, {"invert_matching": True}, False),
        (mq.XPub, {}, True),
        (mq.XPub, {"xpub_verboser": True}, True),
        (mq.XPub, {"xpub_manual": True}, False),
        (mq.XPub, {"xpub_manual_last_value": True}, False),
        (mq.XPub, {"xpub_welcome_message": b"welcome"}, False),
        (mq.Push, {}, False),
    ],
)
async def test_a_publisher_says_that_it_filters_when_it_does_so_exactly(
    wire_endpoint: str, kind: type[Any], options: dict[str, Any], says: bool, deadline: None
) -> None:
    async with kind(**options) as socket, raw_peer(socket.bind(wire_endpoint)) as raw:
        await raw.say(greeting())
        await raw.hear(64)
        _, body = await raw.hear_frame()
        assert body.startswith(b"\x05READY")
        assert (FILTER in body) is says


@asynccontextmanager
async def exact(endpoint: str, subscriptions: int) -> AsyncIterator[tuple[str, Callable[[bytes], Awaitable[None]]]]:
    """Listen as a publisher of its word. Yield its endpoint, and a function that says something in one piece.

    What is said goes to the newest connection, once it has asked for so many ``subscriptions``; b"" ends that.
    """
    say, said = trio.open_memory_channel[bytes](0)

    async def serve(raw: Raw) -> None:
        await raw.say(EXACT)
        await raw.hear(64)
        assert (await raw.hear_frame())[1].startswith(b"\x05READY")
        for _ in range(subscriptions):
            assert (await raw.hear_frame())[1].startswith(b"\x09SUBSCRIBE")
        while data := await said.receive():
            await raw.say(data)

    async with raw_server(endpoint, serve) as address:
        yield address, say.send


async def received(sub: mq.Sub, count: int) -> list[bytes]:
    """Return the next ``count`` messages, each as its frames in a row."""
    return [b"+".join(await sub.receive_multipart()) for _ in range(count)]


@pytest.fixture(params=[1, 20])
def topics(request: pytest.FixtureRequest) -> list[bytes]:
    """Few topics and many are looked up differently."""
    return [b"a", *(b"topic %d" % number for number in range(1, request.param))]


def subscribe(sub: mq.Sub, topics: list[bytes]) -> None:
    for topic in topics:
        sub.subscribe(topic)


async def test_a_publisher_that_filters_is_taken_at_its_word(
    wire_endpoint: str, topics: list[bytes], deadline: None
) -> None:
    async with exact(wire_endpoint, len(topics)) as (address, say), mq.Sub() as sub:
        subscribe(sub, topics)
        sub.connect(address)
        await say(frame(b"a1") + frame(b"unasked") + multipart(b"a", b"2"))
        assert await received(sub, 3) == [b"a1", b"unasked", b"a+2"]


@pytest.mark.parametrize("unasked", [frame(b"unasked"), multipart(b"unasked", b"a"), frame(b"")])
@pytest.mark.parametrize("where", ["first", "last", "alone"])
async def test_a_publisher_that_breaks_its_word_is_believed_no_more_until_it_comes_back(
    wire_endpoint: str, topics: list[bytes], unasked: bytes, where: str, deadline: None
) -> None:
    between = frame(b"a1") + frame(b"unasked") + frame(b"a2")
    said = {"first": unasked + between, "last": between + unasked, "alone": unasked}[where]
    async with exact(wire_endpoint, len(topics)) as (address, say), mq.Sub(reconnect_interval=0.01) as sub:
        subscribe(sub, topics)
        sub.connect(address)
        await say(said)
        assert where == "alone" or await received(sub, 2) == [b"a1", b"a2"]
        await say(between)
        assert await received(sub, 2) == [b"a1", b"a2"]
        await say(b"")
        await say(between)
        assert await received(sub, 3) == [b"a1", b"unasked", b"a2"]


async def test_what_was_sent_before_the_publisher_heard_of_the_end_of_a_subscription_is_passed_over(
    wire_endpoint: str, topics: list[bytes], deadline: None
) -> None:
    async with exact(wire_endpoint, len(topics) + 1) as (address, say), mq.Sub() as sub:
        subscribe(sub, [*topics, b"b"])
        sub.connect(address)
        await sub.wait_connected()
        sub.unsubscribe(b"b")
        await say(frame(b"a1") + frame(b"b1") + frame(b"a2"))
        assert await received(sub, 2) == [b"a1", b"a2"]


async def test_a_subscription_that_is_held_still_is_not_ended(wire_endpoint: str, deadline: None) -> None:
    async with exact(wire_endpoint, 1) as (address, say), mq.Sub() as sub:
        subscribe(sub, [b"a", b"a"])
        sub.connect(address)
        await sub.wait_connected()
        sub.unsubscribe(b"a")
        await say(frame(b"a1") + frame(b"unasked") + frame(b"a2"))
        assert await received(sub, 3) == [b"a1", b"unasked", b"a2"]


async def test_an_inverted_sub_looks_itself(wire_endpoint: str, deadline: None) -> None:
    async with exact(wire_endpoint, 1) as (address, say), mq.Sub(invert_matching=True) as sub:
        subscribe(sub, [b"a"])
        sub.connect(address)
        await say(frame(b"b1") + frame(b"a1") + frame(b"b2"))
        assert await received(sub, 2) == [b"b1", b"b2"]


async def test_a_sub_takes_the_word_of_our_own_publishers_only(wire_endpoint: str, deadline: None) -> None:
    async with mq.Sub() as sub, mq.Pub() as pub, libzmq(zmq.PUB) as other:
        subscribe(sub, [b"a"])
        sub.connect(pub.bind(wire_endpoint))
        sub.connect(other.bind("tcp://127.0.0.1:*"))
        await sub.wait_connected(2)
        assert [pipe.trusted for pipe in sub._pipes] == [True, False]


async def test_nothing_comes_that_waited_for_somebody_else(wire_endpoint: str, deadline: None) -> None:
    """A publisher that connects keeps its endpoint's queue; who binds there next has asked for other topics."""
    async with mq.Pub(send_hwm=100_000, reconnect_interval=0.01) as pub:
        address = wire_endpoint
        for topic in (b"a", b"b"):
            async with mq.Sub(receive_hwm=10) as sub:
                address = sub.bind(address)
                sub.subscribe(topic)
                if topic == b"a":
                    pub.connect(address)
                await pub.wait_subscribed(topic)
                for number in range(20_000):
                    await pub.send(b"%s %d %s" % (topic, number, b"x" * 1000))
                first = await received(sub, 20)
                assert all(message.startswith(topic) for message in first)
            await until(lambda: not pub.statistics().peers[0].connected)


async def test_a_publisher_that_says_nothing_is_not_believed(wire_endpoint: str, deadline: None) -> None:
    """Nothing tells whether it has a welcome message, or sends by hand what nobody asked for."""

    async def serve(raw: Raw) -> None:
        await raw.shake_hands(b"PUB")
        await raw.hear_frame()
        await raw.say(frame(b"a1") + frame(b"unasked") + frame(b"a2"))
        await raw.hear_end()

    async with raw_server(wire_endpoint, serve) as address, mq.Sub() as sub:
        sub.subscribe(b"a")
        sub.connect(address)
        assert [await sub.receive() for _ in range(2)] == [b"a1", b"a2"]
