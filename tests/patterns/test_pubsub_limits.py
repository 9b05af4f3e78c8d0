"""What becomes of a message for a subscriber that is behind? Drops and their counts, waiting, only the newest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import zmq
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, next_event, until
from ..interop.libzmq import libzmq
from ..links.raw import Raw, raw_peer
from ..protocols.wire import command
from .meeting import HUGE, another, numbered, subscribed

BEHIND = "its queue was full when they were sent (send_hwm)"
REPLACED = "replaced by a newer one (conflate)"
GONE = "the peer that they were for is gone"


@asynccontextmanager
async def deaf_subscriber(pub: Any, address: str) -> AsyncIterator[Raw]:
    """Have somebody subscribe to all, and read nothing: one huge message is on its way to it, and stays there."""
    async with raw_peer(address) as raw:
        await raw.shake_hands(b"SUB")
        await raw.say(command(b"SUBSCRIBE", b""))
        await pub.wait_subscribed()
        await pub.send(HUGE)
        await wait_all_tasks_blocked(0.02)
        assert pub.statistics().queued_out == 1
        yield raw


# -- full queues -------------------------------------------------------------------------------------------


async def test_the_log_at_closing_gives_the_advice_that_fits_each_loss(
    wire_endpoint: str, caplog: pytest.LogCaptureFixture, deadline: None
) -> None:
    async with mq.Pub(send_hwm=2, linger=0) as pub, deaf_subscriber(pub, pub.bind(wire_endpoint)):
        for message in numbered(10):
            await pub.send(message)
        await pub.aclose()
    advice = {line.rpartition("; ")[2] for line in caplog.messages if "dropped" in line}
    assert advice == {"linger= sets how long to wait", "send_hwm= sets the length of the queue"}


@pytest.mark.parametrize(("theirs", "ours"), [(1, 1), (5, 10), (0, 10), (5, 0)])
async def test_within_the_process_exactly_both_limits_are_queued(theirs: int, ours: int, deadline: None) -> None:
    room = theirs + ours if theirs and ours else 200
    pub, sub = mq.Pub(send_hwm=theirs), mq.Sub(receive_hwm=ours)
    async with subscribed(pub, sub, "inproc://exactly", b""), pub.monitor() as events:
        for message in numbered(200):
            pub.send_nowait(message)
        missed = 200 - room
        assert pub.statistics().dropped == ({BEHIND: missed} if missed else {})
        assert [await sub.receive() for _ in range(room)] == numbered(room)
        with pytest.raises(trio.WouldBlock):
            sub.receive_nowait()
        if missed:
            dropped = await next_event(events, mq.Dropped)
            assert (dropped.count, dropped.reason) == (missed, BEHIND)
        assert pub.statistics().dropped == ({BEHIND: missed} if missed else {})
        await pub.send(b"again")
        assert await sub.receive() == b"again"


async def test_over_a_wire_exactly_the_limit_waits_for_a_peer_that_does_not_read(
    wire_endpoint: str, deadline: None
) -> None:
    pub = mq.Pub(send_hwm=10)
    async with pub, pub.monitor() as events, deaf_subscriber(pub, pub.bind(wire_endpoint)) as raw:
        for _ in range(30):
            await pub.send(b"small")
        assert pub.statistics().queued_out == 10
        assert pub.statistics().dropped == {BEHIND: 30 - 9}
        await raw.skip(9 + len(HUGE))
        for _ in range(9):
            assert await raw.hear_frame() == (0, b"small")
        dropped = await next_event(events, mq.Dropped)
        assert (dropped.count, dropped.reason) == (30 - 9, BEHIND)
        await pub.send(b"end")
        assert await raw.hear_frame() == (0, b"end")
        assert pub.statistics().dropped == {BEHIND: 30 - 9}


@pytest.mark.parametrize("frames", [1, 2])
async def test_others_are_unaffected_by_one_that_is_behind(wire_endpoint: str, frames: int, deadline: None) -> None:
    async with mq.Pub(send_hwm=5) as pub, mq.Sub() as sub:
        address = pub.bind(wire_endpoint)
        async with deaf_subscriber(pub, address):
            sub.connect(address)
            sub.subscribe(b"")
            await pub.wait_subscribed(n=2)
            for number in numbered(500):
                await pub.send_multipart([number] * frames)
                assert await sub.receive_multipart() == [number] * frames
            assert pub.statistics().dropped == {BEHIND: 500 - 4}


async def test_others_within_the_process_are_unaffected_by_one_that_is_behind(deadline: None) -> None:
    async with mq.Pub(send_hwm=5) as pub, mq.Sub(receive_hwm=5) as behind, mq.Sub() as sub:
        pub.bind("inproc://others-unaffected")
        for each in (behind, sub):
            each.connect("inproc://others-unaffected")
            each.subscribe(b"")
        await pub.wait_subscribed(n=2)
        for number in numbered(500):
            await pub.send(number)
            assert await sub.receive() == number
        assert pub.statistics().dropped == {BEHIND: 500 - 10}


async def test_a_full_queue_opens_when_half_of_it_is_gone(deadline: None) -> None:
    async with subscribed(mq.Pub(send_hwm=5), mq.Sub(receive_hwm=5), "inproc://half", b"") as (pub, sub):
        for message in numbered(11):
            await pub.send(message)
        for taken in range(1, 11):
            await sub.receive()
            await pub.send(b"more")
            dropped = pub.statistics().dropped[BEHIND]
            if dropped == taken:  # the one that was taken last has reopened it
                break
        assert taken == 5 + 1
        for _ in range(4):
            await pub.send(b"more")
        assert pub.statistics().dropped[BEHIND] == dropped


async def test_what_a_peer_missed_is_reported_when_it_goes(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pub(send_hwm=5) as pub, pub.monitor() as events:
        async with deaf_subscriber(pub, pub.bind(wire_endpoint)):
            for _ in range(10):
                await pub.send(b"small")
        counts: dict[str, int] = {}
        while len(counts) < 2:
            dropped = await next_event(events, mq.Dropped)
            counts[dropped.reason] = dropped.count
        assert counts == {BEHIND: 10 - 4, GONE: 5}
        assert pub.statistics().dropped == counts


async def test_a_subscriber_drops_nothing_but_holds_up_the_wire(wire_endpoint: str, deadline: None) -> None:
    pub, sub = mq.Pub(xpub_nodrop=True, send_hwm=2), mq.Sub(receive_hwm=2)
    body = bytes(1 << 20)
    async with subscribed(pub, sub, wire_endpoint, b"") as (pub, sub), trio.open_nursery() as nursery:
        sent = 0

        @nursery.start_soon
        async def send() -> None:
            nonlocal sent
            for sent in range(1, 101):
                await pub.send(body + b"%d" % sent)

        await until(lambda: any(pipe.outbox.stalled for pipe in pub._pipes))
        await wait_all_tasks_blocked(0.02)
        assert sent < 100
        assert sub.statistics().queued_in <= 4
        for number in range(1, 101):
            assert (await sub.receive())[len(body) :] == b"%d" % number
        assert sub.statistics().dropped == pub.statistics().dropped == {}


# -- waiting instead of dropping ---------------------------------------------------------------------------


@pytest.mark.parametrize("publisher", [mq.Pub, mq.XPub])
@pytest.mark.parametrize("frames", [1, 2])
async def test_with_nodrop_a_publisher_waits_and_loses_nothing(
    endpoint: str, publisher: type[mq.Pub | mq.XPub], frames: int, deadline: None
) -> None:
    pub, sub = publisher(xpub_nodrop=True, send_hwm=2), mq.Sub(receive_hwm=2)
    body = bytes(100_000)
    async with subscribed(pub, sub, endpoint, b"") as (pub, sub), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            for number in numbered(300):
                await pub.send_multipart([number + body] * frames)

        await until(lambda: any(pipe.outbox.stalled for pipe in pub._pipes))
        with pytest.raises(trio.WouldBlock):
            pub.send_nowait(b"no")
        with pytest.raises(trio.WouldBlock):
            pub.send_multipart_nowait([b"no", b"no"])
        for number in numbered(300):
            assert await sub.receive_multipart() == [number + body] * frames
        assert pub.statistics().dropped == {}


async def test_a_send_that_waits_may_be_cancelled_and_has_sent_to_nobody(deadline: None) -> None:
    async with mq.Pub(xpub_nodrop=True, send_hwm=1) as pub, mq.Sub(receive_hwm=1) as full, mq.Sub() as free:
        pub.bind("inproc://cancelled")
        for sub in (full, free):
            sub.connect("inproc://cancelled")
            sub.subscribe(b"")
        await pub.wait_subscribed(n=2)
        for message in numbered(2):
            await pub.send(message)
        with trio.move_on_after(0.01) as scope:
            await pub.send(b"cancelled")
        assert scope.cancelled_caught
        for sub in (full, free):
            assert [await sub.receive() for _ in range(2)] == numbered(2)
            with pytest.raises(trio.WouldBlock):
                sub.receive_nowait()


async def test_with_nodrop_who_is_full_does_not_hold_up_what_is_for_others(deadline: None) -> None:
    async with mq.Pub(xpub_nodrop=True, send_hwm=1) as pub, mq.Sub(receive_hwm=1) as full, mq.Sub() as free:
        pub.bind("inproc://others")
        for sub, topic in ((full, b"full"), (free, b"free")):
            sub.connect("inproc://others")
            sub.subscribe(topic)
            await pub.wait_subscribed(topic)
        for _ in range(2):
            pub.send_nowait(b"full")
        for _ in range(100):
            await pub.send(b"free")
            assert await free.receive() == b"free"


@pytest.mark.parametrize("what", ["the peer leaves", "the publisher closes"])
async def test_a_send_that_waits_goes_on_when_it_need_not(wire_endpoint: str, what: str, deadline: None) -> None:
    async with mq.Pub(xpub_nodrop=True, send_hwm=1, linger=0) as pub, trio.open_nursery() as nursery:
        ended = trio.Event()

        @nursery.start_soon
        async def send() -> None:
            await pub.wait_subscribed()
            try:
                while pub.topics_count:
                    await pub.send(b"small")
            except trio.ClosedResourceError:
                assert what == "the publisher closes"
            ended.set()

        async with deaf_subscriber(pub, pub.bind(wire_endpoint)):
            await until(lambda: any(pipe.outbox.stalled for pipe in pub._pipes))
            await wait_all_tasks_blocked()
            assert not ended.is_set()
            if what == "the publisher closes":
                await pub.aclose()
        await ended.wait()


# -- only the newest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2])
async def test_a_conflating_publisher_keeps_the_newest_for_a_peer_that_is_behind(
    wire_endpoint: str, frames: int, deadline: None
) -> None:
    async with mq.Pub(conflate=True) as pub, deaf_subscriber(pub, pub.bind(wire_endpoint)) as raw:
        for message in numbered(20):
            await pub.send_multipart([message] * frames)
        assert pub.statistics().queued_out == 2
        assert pub.statistics().dropped == {REPLACED: 19}
        await raw.skip(9 + len(HUGE))
        for more in [1] * (frames - 1) + [0]:
            assert await raw.hear_frame() == (more, b"19")


async def test_a_conflating_publisher_keeps_the_newest_within_the_process(deadline: None) -> None:
    async with subscribed(mq.Pub(conflate=True), mq.Sub(), "inproc://conflate", b"") as (pub, sub):
        for message in numbered(20):
            pub.send_nowait(message)
        assert await sub.receive() in numbered(20)
        pub.send_multipart_nowait([b"20", b"end"])
        while (await sub.receive_multipart())[-1] != b"end":
            pass
        taken = sub.statistics().messages_in
        assert taken <= 3
        assert pub.statistics().dropped == {REPLACED: 21 - taken}


@pytest.mark.parametrize("frames", [1, 2])
async def test_a_conflating_subscriber_keeps_the_newest_of_each_publisher(
    endpoint: str, frames: int, deadline: None
) -> None:
    async with mq.Sub(conflate=True) as sub, mq.Pub() as one, mq.Pub() as other:
        sub.subscribe(b"x")
        for pub, place in ((one, endpoint), (other, another(endpoint))):
            sub.connect(pub.bind(place))
            await pub.wait_subscribed(b"x")
            for number in numbered(20):
                await pub.send_multipart([b"x" + number] * frames)
                await pub.send_multipart([b"y" + number] * frames)
            await pub.send_multipart([b"x end", *[b"x"] * (frames - 1)])
        await until(lambda: sub.statistics().dropped.get(REPLACED) == 40)
        got = [await sub.receive_multipart() for _ in range(2)]
        assert got == [[b"x end", *[b"x"] * (frames - 1)]] * 2
        with pytest.raises(trio.WouldBlock):
            sub.receive_nowait()


async def test_a_conflating_subscriber_keeps_the_newest_of_libzmq(wire_endpoint: str, deadline: None) -> None:
    async with mq.Sub(conflate=True) as sub, libzmq(zmq.XPUB) as xpub:
        sub.subscribe(b"")
        sub.connect(xpub.bind("tcp://127.0.0.1:*" if "tcp" in wire_endpoint else wire_endpoint))
        assert await xpub.receive() == [[b"\1"]]
        await xpub.send(*([message] for message in numbered(20)))
        await until(lambda: sub.statistics().dropped.get(REPLACED) == 19)
        assert await sub.receive() == b"19"


async def test_libzmq_drops_for_a_subscriber_that_does_not_read_and_others_go_on(deadline: None) -> None:
    """The limit is that of the publisher; a SUB of ours only stops reading."""
    async with libzmq(zmq.XPUB, SNDHWM=5) as xpub, mq.Sub(receive_hwm=1) as behind, mq.Sub() as brisk:
        address = xpub.bind("tcp://127.0.0.1:*")
        for sub, topics in ((behind, [b"n"]), (brisk, [b"n", b"e"])):
            sub.connect(address)
            for topic in topics:
                sub.subscribe(topic)
        assert sorted(await xpub.receive(2)) == [[b"\1e"], [b"\1n"]]
        await until(lambda: behind.statistics().bytes_out == brisk.statistics().bytes_out - len(b"SUBSCRIBE") - 4)
        for _ in range(30):
            await xpub.send([b"n" + bytes(1 << 20)])
            await brisk.receive()
            await xpub.pending()  # libzmq looks at what was taken from its queues only now and then, else
        assert behind.statistics().dropped == {}
        assert behind.statistics().queued_in <= 2



async def test_married_sockets_need_no_subscription_to_count_nothing(endpoint: str, deadline: None) -> None:
    async with married(mq.Pub(send_hwm=1), mq.Sub(), endpoint) as (pub, _):
        for message in numbered(100):
            await pub.send(message)
        statistics = pub.statistics()
        assert (statistics.messages_out, statistics.dropped, statistics.queued_out) == (100, {}, 0)


async def test_a_queue_that_unsubscribing_empties_is_filled_again(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(send_hwm=1000), mq.Sub(receive_hwm=10), endpoint, b"a") as (pub, sub):
        for message in numbered(500):
            await pub.send(b"a" + message)
        await wait_all_tasks_blocked(0.02)
        assert sub.statistics().queued_in >= 10
        sub.subscribe(b"b")
        await pub.wait_subscribed(b"b")
        sub.unsubscribe(b"a")
        await pub.send(b"b")
        assert await sub.receive() == b"b"
