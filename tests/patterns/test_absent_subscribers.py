"""What does a publisher that connects keep for an absent subscriber? What it had asked for, until it asks again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import zmq
from trio.testing import wait_all_tasks_blocked

import mq
from mq import reasons

from ..conftest import next_event, until
from ..interop.libzmq import Libzmq, libzmq
from ..links.raw import Raw, raw_server
from ..protocols.wire import frame, frame_1_0, multipart, multipart_1_0, opening_1_0, opening_2_0
from .meeting import numbered, receive_all, reserved

SOON: dict[str, Any] = {"reconnect_interval": 0.002, "reconnect_interval_max": 0.01}


@pytest.fixture(autouse=True)
def briefly_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have publishers wait only briefly for topics that nobody asks for again."""
    monkeypatch.setattr("mq.patterns.absence._PATIENCE", 0.1)


class Publication:
    """One of the pairs of types, with calls that are the same for all of them."""

    def __init__(self, publisher: Any, collector: Any) -> None:
        self.publisher = publisher
        self.collector = collector

    async def send(self, publisher: Any, topic: bytes, body: bytes) -> None:
        if isinstance(publisher, mq.Radio):
            await publisher.send(topic, body)
        else:
            await publisher.send_multipart([topic, body])

    async def receive(self, collector: Any, count: int) -> list[tuple[bytes, bytes]]:
        receive = collector.receive if isinstance(collector, mq.Dish) else collector.receive_multipart
        return [tuple(await receive()) for _ in range(count)]  # type: ignore[misc]

    async def subscribed(self, publisher: Any, topic: bytes) -> None:
        await (publisher.wait_joined if isinstance(publisher, mq.Radio) else publisher.wait_subscribed)(topic)

    @asynccontextmanager
    async def collecting(self, endpoint: str, *topics: bytes) -> AsyncIterator[tuple[Any, str]]:
        """Open a collector at ``endpoint`` that wants ``topics``."""
        async with self.collector() as collector:
            for topic in topics:
                if isinstance(collector, mq.Dish):
                    collector.join(topic)
                elif isinstance(collector, mq.XSub):
                    await collector.send(b"\1" + topic)
                else:
                    collector.subscribe(topic)
            yield collector, collector.bind(endpoint)

    @asynccontextmanager
    async def away(self, endpoint: str, *topics: bytes, **options: Any) -> AsyncIterator[tuple[Any, str]]:
        """Open a publisher whose collector, at the endpoint that is yielded too, has asked for ``topics`` and gone."""
        async with self.publisher(**SOON, **options) as publisher:
            async with self.collecting(endpoint, *topics) as (_, endpoint):
                publisher.connect(endpoint)
                for topic in topics:
                    await self.subscribed(publisher, topic)
            await gone(publisher)
            yield publisher, endpoint


async def gone(publisher: mq.Socket) -> None:
    await until(lambda: not publisher.statistics().peers[0].connected)


PAIRS = {
    "Pub-Sub": Publication(mq.Pub, mq.Sub),
    "Pub-XSub": Publication(mq.Pub, mq.XSub),
    "XPub-Sub": Publication(mq.XPub, mq.Sub),
    "Radio-Dish": Publication(mq.Radio, mq.Dish),
}


@pytest.fixture(params=PAIRS.values(), ids=PAIRS.keys())
def pair(request: pytest.FixtureRequest) -> Publication:
    publication: Publication = request.param
    return publication


def pairs(topic: bytes, bodies: list[bytes]) -> list[tuple[bytes, bytes]]:
    return [(topic, body) for body in bodies]


# -- what waits --------------------------------------------------------------------------------------------


async def test_what_is_sent_meanwhile_is_received_in_order(pair: Publication, endpoint: str, deadline: None) -> None:
    async with pair.away(endpoint, b"a", b"b") as (publisher, endpoint):
        for number in range(100):
            await pair.send(publisher, b"ab"[number % 2 : number % 2 + 1], b"%d" % number)
        async with pair.collecting(endpoint, b"a", b"b") as (collector, _):
            got = await pair.receive(collector, 100)
            assert [body for _, body in got] == numbered(100)
            await pair.send(publisher, b"a", b"later")
            assert await pair.receive(collector, 1) == [(b"a", b"later")]
        assert publisher.statistics().dropped == {}


async def test_what_nobody_had_asked_for_does_not_wait(pair: Publication, endpoint: str, deadline: None) -> None:
    async with pair.away(endpoint, b"a") as (publisher, endpoint):
        await pair.send(publisher, b"b", b"unasked")
        assert publisher.statistics().queued_out == 0
        assert publisher.statistics().dropped == {}


async def test_what_has_no_room_is_counted(pair: Publication, endpoint: str, deadline: None) -> None:
    async with pair.away(endpoint, b"a", send_hwm=10) as (publisher, endpoint):
        for body in numbered(25):
            await pair.send(publisher, b"a", body)
        assert publisher.statistics().queued_out == 10
        assert publisher.statistics().dropped == {reasons.QUEUE_FULL: 15}
        async with pair.collecting(endpoint, b"a") as (collector, _):
            assert await pair.receive(collector, 10) == pairs(b"a", numbered(10))
            await until(lambda: not publisher.statistics().queued_out)
            await pair.send(publisher, b"a", b"later")
            assert await pair.receive(collector, 1) == [(b"a", b"later")]
        assert publisher.statistics().dropped == {reasons.QUEUE_FULL: 15}


async def test_of_what_waits_goes_what_the_new_peer_asks_for(pair: Publication, endpoint: str, deadline: None) -> None:
    async with pair.away(endpoint, b"a", b"b") as (publisher, endpoint):
        for number in range(20):
            await pair.send(publisher, b"ab"[number % 2 : number % 2 + 1], b"%d" % number)
        async with pair.collecting(endpoint, b"b", b"c") as (collector, _):
            assert await pair.receive(collector, 10) == pairs(b"b", numbered(20)[1::2])
            await pair.subscribed(publisher, b"c")
            await pair.send(publisher, b"a", b"not wanted any more")
            await pair.send(publisher, b"c", b"later")
            assert await pair.receive(collector, 1) == [(b"c", b"later")]
        assert publisher.statistics().dropped == {reasons.NOT_WANTED_AGAIN: 10}


async def test_it_may_be_lost_again_and_again(pair: Publication, endpoint: str, deadline: None) -> None:
    async with pair.away(endpoint, b"a") as (publisher, endpoint):
        for number in range(5):
            for part in (b"0", b"1"):
                await pair.send(publisher, b"a", b"%d" % number + part)
            async with pair.collecting(endpoint, b"a") as (collector, _):
                assert await pair.receive(collector, 2) == pairs(b"a", [b"%d0" % number, b"%d1" % number])
            await gone(publisher)
        assert publisher.statistics().reconnects == 5
        assert publisher.statistics().dropped == {}


async def test_many_publishers_keep_for_one_collector(pair: Publication, endpoint: str, deadline: None) -> None:
    publishers = [pair.publisher(**SOON) for _ in range(10)]
    async with trio.open_nursery() as nursery:
        stop, ready = trio.Event(), [trio.Event() for _ in publishers]

        async def publish(number: int, publisher: Any, endpoint: str) -> None:
            async with publisher:
                publisher.connect(endpoint)
                await pair.subscribed(publisher, b"a")
                ready[number].set()
                await gone(publisher)
                for each in range(20):
                    await pair.send(publisher, b"a", b"%d.%d" % (number, each))
                await stop.wait()

        async with pair.collecting(endpoint, b"a") as (_, endpoint):
            for number, publisher in enumerate(publishers):
                nursery.start_soon(publish, number, publisher, endpoint)
            for event in ready:
                await event.wait()
        await until(lambda: all(publisher.statistics().queued_out == 20 for publisher in publishers))
        async with pair.collecting(endpoint, b"a") as (collector, _):
            got = [body.split(b".") for _, body in await pair.receive(collector, 200)]
            for number in range(10):
                assert [each for one, each in got if one == b"%d" % number] == numbered(20)
        stop.set()


async def test_a_connection_that_is_cut_with_nothing_on_its_way_costs_nothing(
    pair: Publication, wire_endpoint: str, deadline: None
) -> None:
    count = 600
    async with pair.publisher(**SOON) as publisher, pair.collecting(wire_endpoint, b"a") as (collector, endpoint):
        publisher.connect(endpoint)
        await pair.subscribed(publisher, b"a")
        got: list[int] = []

        async def collect() -> None:
            while not got or got[-1] < count - 1:
                got.append(int((await pair.receive(collector, 1))[0][1]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            for number in range(count):
                await pair.send(publisher, b"a", b"%d" % number)
                await trio.lowlevel.checkpoint()
                if number % 100 == 50:
                    await until(lambda expected=number: got and got[-1] == expected)  # type: ignore[misc]
                    [pipe] = collector._pipes
                    pipe.hang_up("cut")
                    await gone(publisher)
        assert got == list(range(count))


async def test_a_collector_in_another_thread_may_come_back(pair: Publication, deadline: None) -> None:
    async def collect(count: int) -> list[tuple[bytes, bytes]]:
        async with pair.collecting("inproc://absent-in-a-thread", b"a", b"b") as (collector, _):
            return await pair.receive(collector, count)

    async with pair.publisher(**SOON) as publisher:
        publisher.connect("inproc://absent-in-a-thread")
        for round_ in range(3):
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def in_thread(number: int = round_) -> None:
                    got = await trio.to_thread.run_sync(trio.run, collect, 51 if number else 1)
                    assert [body for _, body in got] == [*(numbered(50) if number else []), b"live"]

                for topic in (b"a", b"b"):
                    await pair.subscribed(publisher, topic)
                await pair.send(publisher, b"a", b"live")
            await gone(publisher)
            for number in range(50):
                await pair.send(publisher, b"ab"[number % 2 : number % 2 + 1], b"%d" % number)


# -- options -----------------------------------------------------------------------------------------------


async def test_with_immediate_nothing_waits(pair: Publication, endpoint: str, deadline: None) -> None:
    async with pair.away(endpoint, b"a", immediate=True) as (publisher, endpoint):
        await pair.send(publisher, b"a", b"lost")
        assert publisher.statistics().queued_out == 0
        async with pair.collecting(endpoint, b"a") as (collector, _):
            await pair.subscribed(publisher, b"a")
            await pair.send(publisher, b"a", b"later")
            assert await pair.receive(collector, 1) == [(b"a", b"later")]


async def test_an_endpoint_that_is_given_up_keeps_nothing(pair: Publication, endpoint: str, deadline: None) -> None:
    async with pair.publisher(reconnect_stop={"disconnect"}) as publisher, publisher.monitor() as events:
        async with pair.collecting(endpoint, b"a") as (_, endpoint):
            publisher.connect(endpoint)
            await pair.subscribed(publisher, b"a")
        await next_event(events, mq.Closed)
        await pair.send(publisher, b"a", b"to nobody")
        assert publisher.statistics().queued_out == 0
        assert publisher._absent == {}


async def test_conflate_keeps_the_newest(endpoint: str, deadline: None) -> None:
    pair = PAIRS["Pub-Sub"]
    async with pair.away(endpoint, b"a", conflate=True) as (publisher, endpoint):
        for body in numbered(5):
            await pair.send(publisher, b"a", body)
        async with pair.collecting(endpoint, b"a") as (collector, _):
            assert await pair.receive(collector, 1) == [(b"a", b"4")]
            await pair.send(publisher, b"a", b"later")
            assert await pair.receive(collector, 1) == [(b"a", b"later")]
        assert publisher.statistics().dropped == {reasons.REPLACED: 4}


async def test_nodrop_waits_for_a_peer_that_is_away(pair: Publication, endpoint: str, deadline: None) -> None:
    async with pair.away(endpoint, b"a", xpub_nodrop=True, send_hwm=5) as (publisher, endpoint):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                for body in numbered(20):
                    await pair.send(publisher, b"a", body)

            await until(lambda: publisher.statistics().queued_out == 5)
            async with pair.collecting(endpoint, b"a") as (collector, _):
                assert await pair.receive(collector, 20) == pairs(b"a", numbered(20))
        assert publisher.statistics().dropped == {}


async def test_nodrop_waits_no_more_once_the_endpoint_is_disconnected(
    pair: Publication, endpoint: str, deadline: None
) -> None:
    async with pair.away(endpoint, b"a", xpub_nodrop=True, send_hwm=5, linger=0) as (publisher, endpoint):
        for body in numbered(5):
            await pair.send(publisher, b"a", body)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.send, publisher, b"a", b"waits")
            await wait_all_tasks_blocked()
            publisher.disconnect(endpoint)


async def test_who_is_away_does_not_count_as_subscribed(pair: Publication, endpoint: str, deadline: None) -> None:
    async with pair.away(endpoint, b"a") as (publisher, endpoint):
        wait: Callable[[bytes | None], Awaitable[None]]
        wait = publisher.wait_joined if isinstance(publisher, mq.Radio) else publisher.wait_subscribed
        for topic in (b"a", None):
            with trio.move_on_after(0) as scope:
                await wait(topic)
            assert scope.cancelled_caught
        async with pair.collecting(endpoint, b"a"):
            await wait(b"a")
            await wait(None)


async def test_inverted_matching_is_kept_too(endpoint: str, deadline: None) -> None:
    async with mq.Pub(invert_matching=True, **SOON) as pub:
        for round_ in range(2):
            async with mq.Sub(invert_matching=True) as sub:
                sub.subscribe(b"a")
                endpoint = sub.bind(endpoint)
                if not round_:
                    pub.connect(endpoint)
                    await pub.wait_subscribed(b"b")
                    await until(lambda: pub.topics_count == 1)
                else:
                    assert await receive_all(sub, 2) == [b"b1", b"b2"]
            await gone(pub)
            if not round_:
                for message in (b"b1", b"a1", b"b2"):
                    await pub.send(message)


async def test_the_welcome_comes_before_what_waited(endpoint: str, deadline: None) -> None:
    async with mq.Pub(xpub_welcome_message=b"a welcome", **SOON) as pub:
        for expected in ([b"a welcome"], [b"a welcome", b"a1", b"a2"]):
            async with mq.Sub() as sub:
                sub.subscribe(b"a")
                endpoint = sub.bind(endpoint)
                if len(expected) == 1:
                    pub.connect(endpoint)
                    await pub.wait_subscribed(b"a")
                assert await receive_all(sub, len(expected)) == expected
            await gone(pub)
            if len(expected) == 1:
                await pub.send(b"a1")
                await pub.send(b"a2")


async def test_last_values_come_before_what_waited_unless_that_is_newer(endpoint: str, deadline: None) -> None:
    pair = PAIRS["Pub-Sub"]
    async with pair.away(endpoint, b"", last_values=10, send_hwm=3) as (publisher, endpoint):
        async with pair.collecting(endpoint, b"") as (collector, _):
            await pair.subscribed(publisher, b"")
            for topic in (b"a", b"b", b"c"):
                await pair.send(publisher, topic, b"before")
            await pair.receive(collector, 3)
        await gone(publisher)
        await pair.send(publisher, b"a", b"waits")
        await pair.send(publisher, b"b", b"waits")
        await pair.send(publisher, b"b", b"waits, too")
        await pair.send(publisher, b"b", b"has no room")
        async with pair.collecting(endpoint, b"") as (collector, _):
            assert await pair.receive(collector, 5) == [
                (b"c", b"before"), (b"a", b"waits"), (b"b", b"waits"), (b"b", b"waits, too"), (b"b", b"has no room"),
            ]  # fmt: skip


# -- leaving -----------------------------------------------------------------------------------------------


async def test_closing_waits_for_a_peer_that_comes_back(pair: Publication, endpoint: str, deadline: None) -> None:
    closed = trio.Event()
    async with trio.open_nursery() as nursery:
        where = trio.Event()
        found: list[str] = []

        @nursery.start_soon
        async def publish() -> None:
            async with pair.away(endpoint, b"a", b"b") as (publisher, endpoint_):
                found.append(endpoint_)
                await pair.send(publisher, b"a", b"one")
                await pair.send(publisher, b"b", b"two")
                where.set()
            closed.set()

        await where.wait()
        async with pair.collecting(found[0], b"a", b"b") as (collector, _):
            assert await pair.receive(collector, 2) == [(b"a", b"one"), (b"b", b"two")]
            await closed.wait()


async def test_disconnecting_flushes_to_a_peer_that_comes_back(
    pair: Publication, endpoint: str, deadline: None
) -> None:
    async with pair.away(endpoint, b"a", b"b") as (publisher, endpoint):
        await pair.send(publisher, b"a", b"one")
        await pair.send(publisher, b"b", b"two")
        publisher.disconnect(endpoint)
        await pair.send(publisher, b"a", b"to nobody")
        async with pair.collecting(endpoint, b"b") as (collector, _):
            assert await pair.receive(collector, 1) == [(b"b", b"two")]
            await until(lambda: not publisher.statistics().peers)
        assert publisher.statistics().dropped == {reasons.NOT_WANTED_AGAIN: 1}


async def test_what_waits_for_a_peer_that_stays_away_is_counted(
    pair: Publication, endpoint: str, deadline: None
) -> None:
    async with pair.away(endpoint, b"a", linger=0) as (publisher, endpoint):
        for body in numbered(3):
            await pair.send(publisher, b"a", body)
        publisher.disconnect(endpoint)
        await until(lambda: not publisher.statistics().peers)
        assert sum(publisher.statistics().dropped.values()) == 3
        assert publisher._absent == {}


# -- what an XPUB receives ---------------------------------------------------------------------------------


async def received_now(xpub: mq.XPub) -> list[bytes]:
    await wait_all_tasks_blocked()
    got = []
    while True:
        try:
            got.append(xpub.receive_nowait())
        except trio.WouldBlock:
            return got


async def test_an_xpub_receives_a_subscription_once_over_all_connections(endpoint: str, deadline: None) -> None:
    pair = PAIRS["XPub-Sub"]
    async with pair.away(endpoint, b"a", b"b") as (xpub, endpoint):
        assert await received_now(xpub) == [b"\1a", b"\1b"]
        async with pair.collecting(endpoint, b"b", b"c"):
            assert [await xpub.receive(), await xpub.receive()] == [b"\1c", b"\0a"]
        await gone(xpub)
        assert await received_now(xpub) == []
        xpub.disconnect(endpoint)
        assert sorted(await received_now(xpub)) == [b"\0b", b"\0c"]


async def test_a_verbose_xpub_receives_a_subscription_on_each_connection(endpoint: str, deadline: None) -> None:
    pair = PAIRS["XPub-Sub"]
    async with pair.away(endpoint, b"a", xpub_verbose=True) as (xpub, endpoint):
        async with pair.collecting(endpoint, b"a"):
            await pair.subscribed(xpub, b"a")
        assert await received_now(xpub) == [b"\1a", b"\1a"]


async def test_a_manual_xpub_keeps_what_it_gave(endpoint: str, deadline: None) -> None:
    pair = PAIRS["XPub-Sub"]
    async with mq.XPub(xpub_manual=True, **SOON) as xpub:
        async with pair.collecting(endpoint, b"a") as (_, endpoint):
            xpub.connect(endpoint)
            assert await xpub.receive() == b"\1a"
            xpub.subscribe(b"x")
        await gone(xpub)
        await xpub.send(b"x waits")
        async with pair.collecting(endpoint, b"a", b"x") as (sub, _):
            assert await sub.receive() == b"x waits"
            await xpub.receive()
        await gone(xpub)
        await received_now(xpub)
        async with pair.collecting(endpoint, b"b"):
            assert await xpub.receive() == b"\1b"
            assert sorted([await xpub.receive(), await xpub.receive()]) == [b"\0a", b"\0x"]


# -- other peers -------------------------------------------------------------------------------------------


async def asked(collector: Libzmq, pub: Any, *topics: bytes) -> None:
    """Wait until the publisher knows that libzmq wants ``topics``. It asks while its program uses the socket."""
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def use() -> None:
            while True:
                await collector.pending(5)

        for topic in topics:
            await pub.wait_subscribed(topic)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("theirs", [zmq.SUB, zmq.XSUB])
@pytest.mark.parametrize("ours", [mq.Pub, mq.XPub])
async def test_libzmq_gets_what_waited_for_it(wire_endpoint: str, ours: Any, theirs: int, deadline: None) -> None:
    async with ours(**SOON) as pub:
        for topics in ([b"a", b"b"], [b"b", b"c"]):
            async with libzmq(theirs, LINGER=0) as collector:
                wire_endpoint = collector.bind(wire_endpoint)
                if topics[0] == b"a":
                    pub.connect(wire_endpoint)
                for topic in topics:
                    if theirs == zmq.SUB:
                        collector.set("SUBSCRIBE", topic)
                    else:
                        await collector.send([b"\1" + topic])
                if topics[0] == b"a":
                    await asked(collector, pub, *topics)
                else:
                    assert await collector.receive(10) == [[b"b%d" % number] for number in range(10)]
                    await asked(collector, pub, b"c")
                    await pub.send(b"c")
                    assert await collector.receive() == [[b"c"]]
            await gone(pub)
            if topics[0] == b"a":
                for number in range(10):
                    await pub.send(b"a%d" % number)
                    await pub.send(b"b%d" % number)


OLD = {
    "2.0": (opening_2_0("SUB"), frame(b"\1a"), frame(b"a1") + multipart(b"a2", b"x")),
    "1.0": (opening_1_0("SUB"), frame_1_0(b"\1a"), frame_1_0(b"a1") + multipart_1_0(b"a2", b"x")),
}


@pytest.mark.parametrize(("opened", "asked", "expected"), OLD.values(), ids=OLD.keys())
async def test_a_peer_may_come_back_with_another_version(
    wire_endpoint: str, opened: bytes, asked: bytes, expected: bytes, deadline: None
) -> None:
    done = trio.Event()

    async def serve(raw: Raw) -> None:
        await raw.say(opened + asked)
        while expected not in raw.heard:
            raw.heard += await raw.stream.receive_some(65536)
        done.set()
        await raw.hear_end()

    async with mq.Pub(**SOON) as pub:
        async with mq.Sub() as sub:
            sub.subscribe(b"a")
            endpoint = sub.bind(wire_endpoint)
            pub.connect(endpoint)
            await pub.wait_subscribed(b"a")
        await gone(pub)
        await pub.send(b"a1")
        await pub.send_multipart([b"a2", b"x"])
        async with raw_server(endpoint, serve):
            await done.wait()


async def test_a_peer_is_sent_nothing_before_it_has_asked_again(
    wire_endpoint: str, deadline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mq.patterns.absence._PATIENCE", 0)  # which is for what comes after the first request
    answered = trio.Event()

    async def serve(raw: Raw) -> None:
        await raw.shake_hands(b"SUB")
        await raw.say(b"\x04\x07\x04PING\x00\x00")
        assert await raw.hear_frame() == (4, b"\x04PONG")
        await wait_all_tasks_blocked()
        assert raw.hears_nothing()
        await raw.say(frame(b"\1a"))
        assert await raw.hear_frame() == (0, b"a1")
        answered.set()
        await raw.hear_end()

    async with mq.Pub(**SOON) as pub:
        async with mq.Sub() as sub:
            sub.subscribe(b"a")
            endpoint = sub.bind(await reserved(wire_endpoint))
            pub.connect(endpoint)
            await pub.wait_subscribed(b"a")
        await gone(pub)
        await pub.send(b"a1")
        async with raw_server(endpoint, serve):
            await answered.wait()
