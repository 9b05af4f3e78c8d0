"""Who gets what is published? Topics, reconnections, late joiners and waiting for subscribers."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, until
from .meeting import another, receive_until, reserved, subscribed

BOUNDARY = [0, 1, 245, 246, 254, 255, 256, 70_000]
"""Sizes of topics: the command is as long as 255 bytes with one of 245, the message with one of 254."""


# -- matching ----------------------------------------------------------------------------------------------


async def test_a_message_goes_to_those_whose_topic_it_begins_with(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"ab", b"x", b"end") as (pub, sub):
        for message in (b"a", b"ab", b"abc", b"ba", b"", b"x", b"X", b"end"):
            await pub.send(message)
        assert await receive_until(sub, b"end") == [b"ab", b"abc", b"x"]


async def test_only_the_first_frame_is_looked_at(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"a", b"end") as (pub, sub):
        for frames in ([b"x", b"a"], [b"ab", b"x"], [b"", b"a"], [b"a", b""], [b"end", b""]):
            await pub.send_multipart(frames)
        assert [await sub.receive_multipart() for _ in range(3)] == [[b"ab", b"x"], [b"a", b""], [b"end", b""]]


async def test_the_empty_topic_is_everything(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"") as (pub, sub):
        for message in (b"a", b"", b"\0", b"\1x", b"end"):
            await pub.send(message)
        assert await receive_until(sub, b"end") == [b"a", b"", b"\0", b"\1x"]


async def test_a_message_that_matches_several_topics_comes_once(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"", b"a", b"ab") as (pub, sub):
        await pub.send(b"abc")
        await pub.send_multipart([b"abc", b"d"])
        await pub.send(b"end")
        assert [await sub.receive_multipart() for _ in range(3)] == [[b"abc"], [b"abc", b"d"], [b"end"]]


async def test_without_a_subscription_nothing_comes(endpoint: str, deadline: None) -> None:
    async with married(mq.Pub(), mq.Sub(), endpoint) as (pub, sub):
        await pub.send(b"missed")
        sub.subscribe(b"")
        await pub.wait_subscribed()
        await pub.send(b"end")
        assert await receive_until(sub, b"end") == []
        assert pub.statistics().dropped == {}


@pytest.mark.parametrize("size", BOUNDARY)
async def test_topics_of_any_size_come_and_go(endpoint: str, size: int, deadline: None) -> None:
    topic = b"t" * size
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, topic) as (pub, sub):
        await pub.send(topic + b"!")
        assert await sub.receive() == topic + b"!"
        sub.subscribe(b"end")
        sub.unsubscribe(topic)
        await until(lambda: pub._subscriptions.topics.keys() == {b"end"})
        await pub.send(topic + b"!")
        await pub.send(b"end")
        assert await receive_until(sub, b"end") == []


async def test_a_publisher_waits_for_subscribers_to_anything_each_counted_once(endpoint: str, deadline: None) -> None:
    async with mq.Pub() as pub, mq.Sub() as one, mq.Sub() as other:
        address = pub.bind(endpoint)
        for sub in (one, other):
            sub.connect(address)
        one.subscribe(b"a")
        one.subscribe(b"b")
        await pub.wait_subscribed(b"b")
        with pytest.raises(trio.TooSlowError), trio.fail_after(0):
            await pub.wait_subscribed(None, 2)
        other.subscribe(b"c")
        await pub.wait_subscribed(None, 2)


async def test_each_of_many_subscribers_gets_its_own_frames(endpoint: str, deadline: None) -> None:
    async with mq.Pub() as pub, mq.Sub() as one, mq.Sub() as other:
        address = pub.bind(endpoint)
        for sub in (one, other):
            sub.subscribe(b"")
            sub.connect(address)
        await pub.wait_subscribed(n=2)
        given = [b"a", b"b"]
        await pub.send_multipart(given)
        given.append(b"the sender's own")
        first = await one.receive_multipart()
        first.append(b"the receiver's own")
        assert await other.receive_multipart() == [b"a", b"b"]


async def test_one_subscriber_hears_many_publishers(endpoint: str, deadline: None) -> None:
    async with mq.Sub() as sub, mq.Pub() as one, mq.Pub() as other:
        sub.subscribe(b"")
        address = sub.bind(endpoint)
        for name, pub in ((b"one", one), (b"other", other)):
            pub.connect(address)
            await pub.wait_subscribed()
            await pub.send(name)
        assert {await sub.receive(), await sub.receive()} == {b"one", b"other"}


async def test_bytearrays_and_views_are_copied(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"") as (pub, sub):
        body = bytearray(b"before")
        await pub.send(body)
        await pub.send_multipart([memoryview(body), b""])
        body[:] = b"after!"
        assert await sub.receive() == b"before"
        assert await sub.receive_multipart() == [b"before", b""]


# -- subscribing and unsubscribing -------------------------------------------------------------------------


async def test_a_topic_is_to_be_unsubscribed_from_as_often_as_it_was_subscribed_to(
    endpoint: str, deadline: None
) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"a", b"end") as (pub, sub):
        sub.subscribe(b"a")
        assert sub.topics_count == pub.topics_count == 2
        sub.unsubscribe(b"a")
        sub.subscribe(b"mark")
        await pub.wait_subscribed(b"mark")
        await pub.send(b"a")
        assert await sub.receive() == b"a"
        sub.unsubscribe(b"a")
        await until(lambda: pub.topics_count == 2)
        await pub.send(b"a")
        await pub.send(b"end")
        assert await receive_until(sub, b"end") == []


async def test_a_publisher_keeps_a_set_for_each_subscriber(endpoint: str, deadline: None) -> None:
    async with mq.Pub() as pub, mq.Sub() as one, mq.Sub() as other:
        address = pub.bind(endpoint)
        for sub in (one, other):
            sub.subscribe(b"a")
            sub.subscribe(b"a")
            sub.connect(address)
        await pub.wait_subscribed(b"a", 2)
        one.unsubscribe(b"a")
        one.unsubscribe(b"a")
        await until(lambda: len(pub._interested(b"a")) == 1)
        await pub.send(b"a")
        assert await other.receive() == b"a"


async def test_what_came_and_is_not_wanted_any_more_is_dropped(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"a", b"b") as (pub, sub):
        for number in range(10):
            await pub.send(b"a%d" % number)
            await pub.send(b"b%d" % number)
        await until(lambda: sub.statistics().queued_in >= 15)
        assert await sub.receive() == b"a0"
        sub.unsubscribe(b"a")
        assert [await sub.receive() for _ in range(10)] == [b"b%d" % number for number in range(10)]


async def test_after_unsubscribing_from_all_that_came_receive_waits(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"a") as (pub, sub), trio.open_nursery() as nursery:
        for _ in range(10):
            await pub.send(b"a")
        await until(lambda: sub.statistics().queued_in == 10)
        assert await sub.receive() == b"a"
        sub.unsubscribe(b"a")
        with pytest.raises(trio.WouldBlock):
            sub.receive_nowait()
        got: list[bytes] = []

        @nursery.start_soon
        async def receive() -> None:
            got.append(await sub.receive())

        await wait_all_tasks_blocked()
        sub.subscribe(b"b")
        await pub.wait_subscribed(b"b")
        await pub.send(b"b")
        await until(lambda: got == [b"b"])


async def test_mistakes_are_named(deadline: None) -> None:
    async with mq.Sub() as sub, mq.Pub() as pub:
        with pytest.raises(ValueError, match=r"this Sub is not subscribed to b'a'"):
            sub.unsubscribe(b"a")
        with pytest.raises(TypeError, match=r"a topic is bytes, got the str 'a': encode it"):
            sub.subscribe("a")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"a topic is bytes, got int 1"):
            sub.unsubscribe(1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"a topic is bytes, got the str 'a'"):
            await pub.wait_subscribed("a")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"a frame is bytes, got the str"):
            await pub.send("a")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"at least one frame"):
            await pub.send_multipart([])
    with pytest.raises(ValueError, match=r"last_values and invert_matching exclude each other"):
        mq.Pub(last_values=1, invert_matching=True)


async def test_a_closed_publisher_says_so(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"") as (pub, sub):
        await pub.send(b"a")
        await pub.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await pub.send(b"a")
        with pytest.raises(trio.ClosedResourceError):
            await pub.send_multipart([b"a", b"b"])
        with pytest.raises(trio.ClosedResourceError):
            pub.send_nowait(b"a")
        await sub.aclose()
        with pytest.raises(trio.ClosedResourceError):
            sub.subscribe(b"a")
        with pytest.raises(trio.ClosedResourceError):
            sub.unsubscribe(b"")


# -- connections that come and go --------------------------------------------------------------------------


@pytest.mark.parametrize("publisher", [mq.Pub, mq.XPub])
@pytest.mark.parametrize("binder", ["publisher", "subscriber"])
async def test_each_topic_is_subscribed_to_once_on_every_connection(
    endpoint: str, publisher: type[mq.Pub | mq.XPub], binder: str, deadline: None
) -> None:
    topics = [b"", b"a", b"b"]
    address = await reserved(endpoint)
    async with mq.Sub(reconnect_interval=0.01) as sub:
        for topic in topics:
            sub.subscribe(topic)
            sub.subscribe(topic)
        if binder == "subscriber":
            sub.bind(address)
        else:
            sub.connect(address)
        for turn in range(3):
            async with mq.XPub(xpub_verboser=True) if publisher is mq.XPub else mq.Pub() as pub:
                if binder == "subscriber":
                    pub.connect(address)
                else:
                    pub.bind(address)
                await pub.wait_subscribed(b"b")
                if isinstance(pub, mq.XPub):
                    assert [await pub.receive() for _ in topics] == [b"\1" + topic for topic in topics]
                    with pytest.raises(trio.WouldBlock):
                        pub.receive_nowait()
                assert pub.topics_count == 3
                await pub.send(b"turn %d" % turn)
                assert await sub.receive() == b"turn %d" % turn


async def test_a_subscriber_may_connect_before_its_publisher_binds(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Sub(reconnect_interval=0.01) as sub, mq.Pub() as pub:
        sub.subscribe(b"news")
        sub.connect(address)
        pub.bind(address)
        await pub.wait_subscribed(b"news")
        await pub.send(b"old")
        await pub.send(b"news")
        assert await sub.receive() == b"news"


@pytest.mark.parametrize("binder", ["publisher", "subscriber"])
async def test_subscriptions_changed_while_nobody_was_there_are_told_as_they_are(
    endpoint: str, binder: str, deadline: None
) -> None:
    address = await reserved(endpoint)
    async with mq.Sub(reconnect_interval=0.01) as sub:
        if binder == "subscriber":
            sub.bind(address)
        else:
            sub.connect(address)
        sub.subscribe(b"old")
        for topics in ({b"old"}, {b"new"}):
            async with mq.Pub() as pub:
                if binder == "subscriber":
                    pub.connect(address)
                else:
                    pub.bind(address)
                await until(lambda pub=pub, topics=topics: set(pub._subscriptions.topics) == topics)
            await until(lambda: not any(peer.connected for peer in sub.statistics().peers))
            if topics == {b"old"}:
                sub.unsubscribe(b"old")
                sub.subscribe(b"new")


async def test_a_subscriber_that_leaves_is_forgotten(endpoint: str, deadline: None) -> None:
    async with mq.Pub() as pub:
        address = pub.bind(endpoint)
        for _ in range(3):
            async with mq.Sub() as sub:
                sub.subscribe(b"a")
                sub.connect(address)
                await pub.wait_subscribed(b"a")
            await until(lambda: pub.topics_count == 0)
        assert not pub._subscriptions.lengths
        assert not pub._subscriptions._of


async def test_what_was_sent_before_the_publisher_left_is_received(endpoint: str, deadline: None) -> None:
    async with mq.Sub() as sub:
        sub.subscribe(b"")
        async with mq.Pub() as pub:
            sub.connect(pub.bind(endpoint))
            await pub.wait_subscribed()
            for number in range(100):
                await pub.send(b"%d" % number)
        assert [await sub.receive() for _ in range(100)] == [b"%d" % number for number in range(100)]


async def test_what_a_publisher_that_connects_sent_before_it_left_is_received(endpoint: str, deadline: None) -> None:
    async with mq.Sub() as sub:
        sub.subscribe(b"")
        address = sub.bind(endpoint)
        async with mq.Pub() as pub:
            pub.connect(address)
            await pub.wait_subscribed()
            for number in range(100):
                await pub.send(b"%d" % number)
        assert [await sub.receive() for _ in range(100)] == [b"%d" % number for number in range(100)]


async def test_nothing_is_sent_to_an_endpoint_that_is_being_disconnected(endpoint: str, deadline: None) -> None:
    async with mq.Sub() as sub, mq.Pub() as pub:
        sub.subscribe(b"")
        address = sub.bind(endpoint)
        pub.connect(address)
        await pub.wait_subscribed()
        await pub.send(b"before")
        pub.disconnect(address)
        sub.subscribe(b"more")
        await pub.send(b"after")
        await until(lambda: not pub.statistics().peers)
        assert await sub.receive() == b"before"
        with pytest.raises(trio.WouldBlock):
            sub.receive_nowait()
        assert pub.topics_count == 0


# -- waiting for subscribers -------------------------------------------------------------------------------


async def test_wait_subscribed_waits_for_that_many(endpoint: str, deadline: None) -> None:
    done: list[int] = []
    async with mq.Pub() as pub, mq.Sub() as one, mq.Sub() as other, trio.open_nursery() as nursery:
        address = pub.bind(endpoint)

        async def wait(n: int) -> None:
            await pub.wait_subscribed(b"ab", n)
            done.append(n)

        for n in (2, 1):
            nursery.start_soon(wait, n)
        one.connect(address)
        other.connect(address)
        await pub.wait_connected(2)
        one.subscribe(b"abc")  # not all that begins with ab
        one.subscribe(b"x")
        await pub.wait_subscribed(b"x")
        assert done == []
        one.subscribe(b"a")
        await until(lambda: done == [1])
        other.subscribe(b"")
        await until(lambda: done == [1, 2])
        await pub.wait_subscribed(b"ab", 0)


async def test_wait_subscribed_ends_when_the_socket_closes(deadline: None) -> None:
    async with mq.Pub() as pub, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await pub.wait_subscribed(b"a")

        await wait_all_tasks_blocked()
        await pub.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await pub.wait_subscribed()


async def test_wait_subscribed_may_be_cancelled(endpoint: str, deadline: None) -> None:
    async with married(mq.Pub(), mq.Sub(), endpoint) as (pub, sub):
        with trio.move_on_after(0) as scope:
            await pub.wait_subscribed()
        assert scope.cancelled_caught
        sub.subscribe(b"")
        await pub.wait_subscribed()


# -- the welcome and the last values -----------------------------------------------------------------------


@pytest.mark.parametrize("binder", ["publisher", "subscriber"])
async def test_a_welcome_message_comes_first_to_who_has_subscribed_to_it(
    endpoint: str, binder: str, deadline: None
) -> None:
    async with mq.Pub(xpub_welcome_message=b"welcome") as pub, mq.Sub() as glad, mq.Sub() as other:
        glad.subscribe(b"")
        other.subscribe(b"news")
        for sub, place in ((glad, endpoint), (other, another(endpoint))):
            if binder == "subscriber":
                pub.connect(sub.bind(place))
            else:
                sub.connect(pub.bind(place))
        await pub.wait_subscribed(b"news", 2)
        await pub.send(b"news")
        assert [await glad.receive() for _ in range(2)] == [b"welcome", b"news"]
        assert await other.receive() == b"news"


async def test_a_welcome_message_comes_again_on_every_connection(wire_endpoint: str, deadline: None) -> None:
    address = await reserved(wire_endpoint)
    async with mq.Sub(reconnect_interval=0.01) as sub:
        sub.subscribe(b"")
        sub.connect(address)
        for _ in range(3):
            async with mq.XPub(xpub_welcome_message=b"welcome") as pub:
                pub.bind(address)
                assert await sub.receive() == b"welcome"


@pytest.mark.parametrize("publisher", [mq.Pub, mq.XPub])
async def test_a_late_joiner_gets_the_last_values(
    endpoint: str, publisher: type[mq.Pub | mq.XPub], deadline: None
) -> None:
    async with publisher(last_values=2) as pub, mq.Sub() as sub:
        for topic, value in ((b"a", b"1"), (b"b", b"1"), (b"c", b"1"), (b"b", b"2")):
            await pub.send_multipart([topic, value])
        await pub.send(b"a message without a topic")
        sub.connect(pub.bind(endpoint))
        sub.subscribe(b"")
        assert [await sub.receive_multipart() for _ in range(2)] == [[b"c", b"1"], [b"b", b"2"]]
        await pub.send(b"end")
        assert await receive_until(sub, b"end") == []


async def test_the_topic_forgotten_is_the_one_whose_value_is_the_oldest(endpoint: str, deadline: None) -> None:
    async with mq.Pub(last_values=2) as pub, mq.Sub() as sub:
        for topic in (b"a", b"b", b"a", b"c"):
            await pub.send_multipart([topic, b""])
        sub.subscribe(b"")
        sub.connect(pub.bind(endpoint))
        assert [await sub.receive_multipart() for _ in range(2)] == [[b"a", b""], [b"c", b""]]


async def test_a_last_value_comes_once_to_whom_it_is_late(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(last_values=10), mq.Sub(), endpoint, b"a", b"end") as (pub, sub):
        await pub.send_multipart([b"a", b"1"])
        await pub.send_multipart([b"b", b"1"])
        sub.subscribe(b"a")  # it has what it was sent
        sub.subscribe(b"b")
        sub.subscribe(b"")
        await pub.wait_subscribed()
        await pub.send(b"end")
        got = [await sub.receive_multipart() for _ in range(3)]
        assert got == [[b"a", b"1"], [b"b", b"1"], [b"end"]]


async def test_last_values_are_not_the_receivers_to_change(deadline: None) -> None:
    async with mq.Pub(last_values=1) as pub:
        pub.bind("inproc://last")
        await pub.send_multipart([b"a", b"1"])
        for _ in range(2):
            async with mq.Sub() as sub:
                sub.subscribe(b"")
                sub.connect("inproc://last")
                got = await sub.receive_multipart()
                assert got == [b"a", b"1"]
                got.clear()


# -- matching inverted -------------------------------------------------------------------------------------


async def test_inverted_on_both_sides_what_matches_stays_away(endpoint: str, deadline: None) -> None:
    pub, sub = mq.Pub(invert_matching=True), mq.Sub(invert_matching=True)
    async with married(pub, sub, endpoint):
        await pub.wait_subscribed(b"anything")
        await pub.send(b"a1")
        assert await sub.receive() == b"a1"
        sub.subscribe(b"a")
        await until(lambda: pub.topics_count == 1)
        for message in (b"a2", b"b", b"end"):
            await pub.send(message)
        assert await receive_until(sub, b"end") == [b"b"]
        sub.subscribe(b"")
        await until(lambda: pub.topics_count == 2)
        assert pub._interested(b"b") == {}


async def test_inverted_a_subscription_drops_what_had_come(endpoint: str, deadline: None) -> None:
    pub, sub = mq.Pub(invert_matching=True), mq.Sub(invert_matching=True)
    async with married(pub, sub, endpoint):
        await pub.wait_subscribed(b"a")
        for message in (b"a", b"b", b"a", b"b"):
            await pub.send(message)
        await until(lambda: sub.statistics().queued_in == 4)
        sub.subscribe(b"a")
        assert [await sub.receive() for _ in range(2)] == [b"b", b"b"]
