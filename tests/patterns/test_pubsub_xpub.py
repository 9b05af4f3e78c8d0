"""What does the program have in hand with XPUB and XSUB? Subscriptions as messages, and messages upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, until
from .meeting import another, receive_until, reserved


async def told(xpub: mq.XPub, sync: mq.XSub | mq.Sub) -> list[bytes]:
    """Return all that ``xpub`` was told before ``sync`` subscribes to something new."""
    topic = b"sync %d" % sync.topics_count
    if isinstance(sync, mq.Sub):
        sync.subscribe(topic)
    else:
        await sync.send(b"\1" + topic)
    return await receive_until(xpub, b"\1" + topic)


@asynccontextmanager
async def two_subs(xpub: mq.XPub, endpoint: str) -> AsyncIterator[tuple[mq.Sub, mq.Sub]]:
    """Join two SUBs with ``xpub``."""
    async with mq.Sub() as one, mq.Sub() as two:
        address = xpub.bind(endpoint)
        for number, sub in enumerate((one, two)):
            sub.connect(address)
            await xpub.wait_connected(number + 1)
        yield one, two


# -- what is received --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [b"\1a", b"\0a"]),
        ({"xpub_verbose": True}, [b"\1a", b"\1a", b"\1a", b"\0a"]),
        ({"xpub_verboser": True}, [b"\1a", b"\1a", b"\1a", b"\0a", b"\0a"]),
        ({"xpub_verbose": True, "xpub_verboser": True}, [b"\1a", b"\1a", b"\1a", b"\0a", b"\0a"]),
    ],
)
async def test_how_much_is_told_of_two_subscribers(
    endpoint: str, options: dict[str, Any], expected: list[bytes], deadline: None
) -> None:
    async with mq.XPub(**options) as xpub, two_subs(xpub, endpoint) as (one, two):
        one.subscribe(b"a")
        one.subscribe(b"a")
        one.subscribe(b"mark")
        await xpub.wait_subscribed(b"mark")
        two.subscribe(b"a")
        await xpub.wait_subscribed(b"a", 2)
        two.unsubscribe(b"a")
        await until(lambda: len(xpub._interested(b"a")) == 1)
        one.unsubscribe(b"a")
        one.unsubscribe(b"a")
        assert [request for request in await told(xpub, one) if request != b"\1mark"] == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [b"\1a", b"\0a"]),
        ({"xpub_verbose": True}, [b"\1a", b"\1a", b"\0a"]),
        ({"xpub_verboser": True}, [b"\1a", b"\1a", b"\0a"]),
    ],
)
async def test_how_much_is_told_of_one_subscriber(
    endpoint: str, options: dict[str, Any], expected: list[bytes], deadline: None
) -> None:
    async with married(mq.XPub(**options), mq.Sub(), endpoint) as (xpub, sub):
        sub.subscribe(b"a")
        sub.subscribe(b"a")
        sub.unsubscribe(b"a")
        sub.unsubscribe(b"a")
        assert await told(xpub, sub) == expected


async def test_requests_are_received_in_the_order_in_which_they_took_effect(endpoint: str, deadline: None) -> None:
    async with mq.XPub() as xpub, two_subs(xpub, endpoint) as (one, two):
        for topic in (b"1", b"2", b"3", b"a"):
            one.subscribe(topic)
        await xpub.wait_subscribed(b"a")
        two.subscribe(b"a")
        await xpub.wait_subscribed(b"a", 2)
        one.unsubscribe(b"a")
        await until(lambda: len(xpub._interested(b"a")) == 1)
        two.unsubscribe(b"a")
        await until(lambda: not xpub._interested(b"a"))
        assert await told(xpub, one) == [b"\0011", b"\0012", b"\0013", b"\1a", b"\0a"]


@pytest.mark.parametrize("verboser", [False, True])
async def test_a_peer_that_is_lost_ends_its_subscriptions(endpoint: str, verboser: bool, deadline: None) -> None:
    async with mq.XPub(xpub_verboser=verboser) as xpub, mq.Sub() as stays:
        address = xpub.bind(endpoint)
        stays.connect(address)
        stays.subscribe(b"shared")
        assert await xpub.receive() == b"\1shared"
        async with mq.Sub() as leaves:
            leaves.connect(address)
            for topic in (b"shared", b"own", b"other"):
                leaves.subscribe(topic)
            await xpub.wait_subscribed(b"other")
        await xpub.wait_subscribed(b"shared")
        await until(lambda: xpub.topics_count == 1)
        expected = [b"\1own", b"\1other", b"\0own", b"\0other"]
        if verboser:
            expected = [b"\1shared", b"\1own", b"\1other", b"\0shared", b"\0own", b"\0other"]
        assert await told(xpub, stays) == expected


async def test_a_cancellation_of_what_nobody_has_is_passed_on(endpoint: str, deadline: None) -> None:
    async with married(mq.XPub(), mq.XSub(xsub_verbose_unsubscribe=True), endpoint) as (xpub, xsub):
        await xsub.send(b"\0never")
        assert await xpub.receive() == b"\0never"


@pytest.mark.parametrize(("verbose", "expected"), [(False, [b"\1a", b"\0a"]), (True, [b"\1a", b"\0a", b"\0a", b"\0a"])])
async def test_an_xsub_passes_on_the_last_cancellation_or_each(
    endpoint: str, verbose: bool, expected: list[bytes], deadline: None
) -> None:
    async with married(mq.XPub(), mq.XSub(xsub_verbose_unsubscribe=verbose), endpoint) as (xpub, xsub):
        await xsub.send(b"\1a")
        await xsub.send(b"\1a")
        for _ in range(3):
            await xsub.send(b"\0a")
        assert xsub.topics_count == 0
        assert await told(xpub, xsub) == expected


async def test_topics_are_counted(endpoint: str, deadline: None) -> None:
    async with mq.XPub() as xpub, two_subs(xpub, endpoint) as (one, two):
        for topic in (b"a", b"ab", b"abc", b"", b"a"):
            one.subscribe(topic)
        two.subscribe(b"ab")
        two.subscribe(b"x")
        await xpub.wait_subscribed(b"x", 2)
        await xpub.wait_subscribed(b"abc", 2)
        assert (one.topics_count, two.topics_count, xpub.topics_count) == (4, 2, 5)
        one.unsubscribe(b"ab")
        two.unsubscribe(b"ab")
        one.unsubscribe(b"a")
        await until(lambda: xpub.topics_count == 4)


# -- messages upstream -------------------------------------------------------------------------------------


async def test_messages_go_upstream_in_order_with_subscriptions(endpoint: str, deadline: None) -> None:
    async with married(mq.XPub(), mq.XSub(), endpoint) as (xpub, xsub):
        await xsub.send(b"\1a")
        await xsub.send(b"hello")
        await xsub.send_multipart([b"", b"frames", b""])
        await xsub.send(b"")
        await xsub.send(b"\0a")
        got = [await xpub.receive_multipart() for _ in range(5)]
        assert got == [[b"\1a"], [b"hello"], [b"", b"frames", b""], [b""], [b"\0a"]]
        assert xpub.statistics().messages_in == 5


async def test_messages_go_upstream_to_every_publisher(endpoint: str, deadline: None) -> None:
    async with mq.XSub() as xsub, mq.XPub() as one, mq.XPub() as other:
        xsub.connect(one.bind(endpoint))
        xsub.connect(other.bind(another(endpoint)))
        await xsub.wait_connected(2)
        xsub.send_nowait(b"hello")
        assert await one.receive() == await other.receive() == b"hello"


async def test_what_is_sent_upstream_before_anybody_is_there_waits(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.XSub() as xsub, mq.XPub() as xpub:
        xsub.connect(address)
        await xsub.send(b"\1a")
        await xsub.send_multipart([b"hello", b"there"])
        xpub.bind(address)
        got = [await xpub.receive_multipart() for _ in range(2)]
        # Within the process, what waited is there at once, and what a connection begins with comes behind it.
        assert (sorted(got) if "inproc" in address else got) == [[b"\1a"], [b"hello", b"there"]]


async def test_a_pub_counts_what_comes_upstream_as_dropped(endpoint: str, deadline: None) -> None:
    async with married(mq.Pub(), mq.XSub(), endpoint) as (pub, xsub):
        await xsub.send(b"hello")
        await xsub.send_multipart([b"hello", b"there"])
        await xsub.send(b"\1a")
        await pub.wait_subscribed(b"a")
        assert pub.statistics().dropped == {"PUB does not receive": 2}


async def test_an_xsub_is_not_filtered_and_a_sub_is(endpoint: str, deadline: None) -> None:
    welcome = {"xpub_welcome_message": b"welcome"}
    async with married(mq.Pub(**welcome), mq.XSub(), endpoint) as (_, xsub):  # type: ignore[arg-type]
        assert await xsub.receive() == b"welcome"


async def test_every_frame_that_begins_like_a_request_is_one(endpoint: str, deadline: None) -> None:
    async with married(mq.XPub(), mq.XSub(), endpoint) as (xpub, xsub):
        await xsub.send_multipart([b"\1a", b"\1b", b"else", b"\0a"])
        got = [await xpub.receive_multipart() for _ in range(4)]
        assert got == [[b"\1a"], [b"\1b"], [b"\0a"], [b"else"]]
        assert set(xpub._subscriptions.topics) == {b"b"}


async def test_with_only_first_subscribe_the_other_frames_are_a_message(endpoint: str, deadline: None) -> None:
    only_first = {"only_first_subscribe": True}
    async with married(mq.XPub(**only_first), mq.XSub(**only_first), endpoint) as (xpub, xsub):  # type: ignore[arg-type]
        await xsub.send_multipart([b"\1a", b"\1b"])
        await xsub.send_multipart([b"else", b"\1c", b"\0a"])
        got = [await xpub.receive_multipart() for _ in range(3)]
        # The other frames came alone: what begins one message begins like a request.
        assert got == [[b"\1a"], [b"\1b"], [b"else", b"\1c", b"\0a"]]
        assert set(xpub._subscriptions.topics) == {b"a", b"b"}


async def test_a_closed_xsub_and_xpub_say_so(endpoint: str, deadline: None) -> None:
    async with married(mq.XPub(), mq.XSub(), endpoint) as (xpub, xsub):
        for socket in (xpub, xsub):
            await socket.aclose()
            for call in (socket.send, socket.receive, socket.receive_multipart):
                with pytest.raises(trio.ClosedResourceError):
                    await (call(b"\1a") if call == socket.send else call())
            with pytest.raises(trio.ClosedResourceError):
                socket.receive_nowait()


async def test_receiving_waits_and_may_be_cancelled(endpoint: str, deadline: None) -> None:
    async with married(mq.XPub(), mq.XSub(), endpoint) as (xpub, xsub), trio.open_nursery() as nursery:
        got: list[bytes] = []

        async def receive() -> None:
            got.append(await xpub.receive())

        for _ in range(3):
            nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        with trio.move_on_after(0) as scope:
            await xpub.receive()
        assert scope.cancelled_caught
        for number in range(4):
            xsub.send_nowait(b"\1%d" % number)
        await until(lambda: len(got) == 3)
        assert sorted([*got, await xpub.receive()]) == [b"\1%d" % number for number in range(4)]


# -- in the program's hands --------------------------------------------------------------------------------


async def test_manual_a_peer_gets_what_it_is_given(endpoint: str, deadline: None) -> None:
    async with married(mq.XPub(xpub_manual=True), mq.XSub(), endpoint) as (xpub, xsub):
        await xsub.send(b"\1A")
        assert await xpub.receive() == b"\1A"
        await xpub.send(b"A: nobody has it")
        xpub.subscribe(b"XA")
        await xpub.wait_subscribed(b"XA")
        await xpub.send(b"A: nobody has it")
        await xpub.send(b"XA")
        assert await xsub.receive() == b"XA"
        await xsub.send(b"\0A")
        assert await xpub.receive() == b"\0A"
        xpub.unsubscribe(b"XA")
        await xpub.send(b"XA: nobody has it")
        await xsub.send(b"\1B")
        assert await xpub.receive() == b"\1B"
        xpub.subscribe(b"")
        await xpub.send(b"end")
        assert await xsub.receive() == b"end"


async def test_manual_an_answer_is_for_the_peer_whose_request_was_received_last(endpoint: str, deadline: None) -> None:
    async with mq.XPub(xpub_manual=True) as xpub, two_subs(xpub, endpoint) as (one, two):
        one.subscribe(b"one")
        two.subscribe(b"two")
        for _ in range(2):
            request = await xpub.receive()
            xpub.subscribe(b"for " + request[1:])
        one.subscribe(b"for")
        two.subscribe(b"for")
        await xpub.send(b"for one")
        await xpub.send(b"for two")
        assert (await one.receive(), await two.receive()) == (b"for one", b"for two")


async def test_manual_a_lost_peer_ends_what_it_asked_for(endpoint: str, deadline: None) -> None:
    async with mq.XPub(xpub_manual=True) as xpub, mq.XSub() as stays:
        address = xpub.bind(endpoint)
        stays.connect(address)
        await stays.send(b"\1A")
        assert await xpub.receive() == b"\1A"
        xpub.subscribe(b"A")
        async with mq.XSub() as leaves:
            leaves.connect(address)
            for request in (b"\1A", b"\1B", b"\1C", b"\0C"):
                await leaves.send(request)
                assert await xpub.receive() == request
                xpub.subscribe(b"X" + request[1:])
            assert xpub.topics_count == 4
        assert [await xpub.receive() for _ in range(2)] == [b"\0A", b"\0B"]
        assert set(xpub._subscriptions.topics) == {b"A"}
        assert not set(xpub._asked) - set(xpub._pipes)
        xpub.subscribe(b"for one who is gone")
        xpub.unsubscribe(b"for one who is gone")
        assert xpub.topics_count == 1


async def test_manual_last_value_the_first_message_is_for_the_new_peer_alone(endpoint: str, deadline: None) -> None:
    async with mq.XPub(xpub_manual_last_value=True) as xpub, two_subs(xpub, endpoint) as (one, two):
        for sub in (one, two):
            sub.subscribe(b"A")
            assert await xpub.receive() == b"\1A"
            xpub.subscribe(b"A")
            await xpub.send(b"A: last value")
            await xpub.send(b"A: for all")
        assert [await one.receive() for _ in range(3)] == [b"A: last value", b"A: for all", b"A: for all"]
        assert [await two.receive() for _ in range(2)] == [b"A: last value", b"A: for all"]


async def test_manual_last_value_nobody_is_favoured_who_has_gone(endpoint: str, deadline: None) -> None:
    async with mq.XPub(xpub_manual_last_value=True) as xpub, mq.Sub() as stays:
        address = xpub.bind(endpoint)
        stays.connect(address)
        stays.subscribe(b"A")
        assert await xpub.receive() == b"\1A"
        xpub.subscribe(b"A")
        await xpub.send(b"A: last value")
        async with mq.Sub() as leaves:
            leaves.connect(address)
            leaves.subscribe(b"A")
            assert await xpub.receive() == b"\1A"
            xpub.subscribe(b"A")
        assert await xpub.receive() == b"\0A"
        xpub.subscribe(b"A")
        await xpub.send(b"A: for all")
        assert [await stays.receive() for _ in range(2)] == [b"A: last value", b"A: for all"]


async def test_manual_mistakes_are_named(deadline: None) -> None:
    async with mq.XPub() as xpub:
        with pytest.raises(ValueError, match=r"subscribe\(\) on an XPub needs xpub_manual=True"):
            xpub.subscribe(b"a")
    async with mq.XPub(xpub_manual=True) as xpub:
        with pytest.raises(ValueError, match=r"unsubscribe\(\) applies to the peer of the last received request"):
            xpub.unsubscribe(b"a")
    with pytest.raises(trio.ClosedResourceError):
        xpub.subscribe(b"a")


# -- a device ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def device(frontend: str, backend: str) -> AsyncIterator[tuple[mq.XSub, mq.XPub, str, str]]:
    """Forward between publishers that connect to the frontend and subscribers that connect to the backend."""

    async def forward(source: Any, target: Any) -> None:
        while True:
            await target.send_multipart(await source.receive_multipart())

    async with mq.XSub() as xsub, mq.XPub() as xpub, trio.open_nursery() as nursery:
        addresses = xsub.bind(frontend), xpub.bind(backend)
        nursery.start_soon(forward, xsub, xpub)
        nursery.start_soon(forward, xpub, xsub)
        yield xsub, xpub, *addresses
        nursery.cancel_scope.cancel()


async def test_subscriptions_go_through_a_device(endpoint: str, deadline: None) -> None:
    async with device(endpoint, another(endpoint)) as (xsub, xpub, front, back), mq.Pub() as pub:
        pub.connect(front)
        async with mq.Sub() as one, mq.Sub() as two:
            for sub in (one, two):
                sub.connect(back)
                sub.subscribe(b"a")
            await xpub.wait_subscribed(b"a", 2)
            await pub.wait_subscribed(b"a")
            two.subscribe(b"b")
            await pub.wait_subscribed(b"b")
            await pub.send(b"x: for nobody")
            await pub.send_multipart([b"a", b"for both"])
            await pub.send(b"b: for two")
            for sub in (one, two):
                assert await sub.receive_multipart() == [b"a", b"for both"]
            assert await two.receive() == b"b: for two"
            one.unsubscribe(b"a")
            await until(lambda: len(xpub._interested(b"a")) == 1)
            assert set(pub._subscriptions.topics) == {b"a", b"b"}
        await until(lambda: pub.topics_count == 0)
        assert xsub.topics_count == 0


async def test_a_publisher_that_comes_later_hears_of_subscriptions_through_a_device(
    endpoint: str, deadline: None
) -> None:
    async with device(endpoint, another(endpoint)) as (xsub, _, front, back), mq.Sub() as sub:
        sub.connect(back)
        sub.subscribe(b"a")
        await until(lambda: xsub.topics_count == 1)
        for turn in range(3):
            async with mq.Pub() as pub:
                pub.connect(front)
                await pub.wait_subscribed(b"a")
                await pub.send(b"a%d" % turn)
                assert await sub.receive() == b"a%d" % turn


async def test_manual_a_device_subscribes_upstream_for_its_peers_and_ends_it_when_they_go(
    endpoint: str, deadline: None
) -> None:
    async with (
        married(mq.XSub(), mq.Pub(), endpoint) as (xsub, pub),
        mq.XPub(xpub_manual=True) as xpub,
        trio.open_nursery() as nursery,
    ):

        @nursery.start_soon
        async def pass_requests() -> None:
            async for request in xpub:
                (xpub.subscribe if request[0] else xpub.unsubscribe)(request[1:])
                await xsub.send(request)

        @nursery.start_soon
        async def pass_messages() -> None:
            async for message in xsub:
                await xpub.send(message)

        address = xpub.bind(another(endpoint))
        async with mq.Sub() as stays:
            async with mq.Sub() as leaves:
                for sub in (stays, leaves):
                    sub.connect(address)
                    sub.subscribe(b"a")
                leaves.subscribe(b"b")
                await xpub.wait_subscribed(b"a", 2)
                await pub.wait_subscribed(b"b")
                for message in (b"a1", b"b1"):
                    await pub.send(message)
                assert await stays.receive() == b"a1"
                assert await leaves.receive() == b"a1"
                assert await leaves.receive() == b"b1"
            await until(lambda: set(pub._subscriptions.topics) == {b"a"})
            await pub.send(b"a2")
            assert await stays.receive() == b"a2"
        await until(lambda: pub.topics_count == 0)
        nursery.cancel_scope.cancel()
