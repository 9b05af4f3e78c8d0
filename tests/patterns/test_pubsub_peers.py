"""What do other peers say and hear? Libzmq, bytes by hand, and subscribers that mean no good."""

from __future__ import annotations

import tracemalloc

import pytest
import trio
import zmq
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import next_event, until
from ..interop.libzmq import libzmq
from ..links.raw import Raw, raw_peer, raw_server
from ..protocols.wire import command, frame, multipart
from .meeting import numbered, receive_all

TCP = "tcp://127.0.0.1:*"


def theirs(endpoint: str) -> str:
    """Return what libzmq binds for ``endpoint``."""
    return TCP if endpoint.startswith("tcp") else endpoint


# -- libzmq ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 245, 246, 255, 256, 70_000])
@pytest.mark.parametrize("binder", ["ours", "theirs"])
async def test_a_pub_serves_subscribers_of_libzmq(wire_endpoint: str, size: int, binder: str, deadline: None) -> None:
    topic = b"t" * size
    async with mq.Pub() as pub, libzmq(zmq.SUB, SUBSCRIBE=topic) as sub:  # type: ignore[arg-type]
        if binder == "ours":
            sub.connect(pub.bind(wire_endpoint))
        else:
            pub.connect(sub.bind(theirs(wire_endpoint)))

        async def publish() -> None:
            await pub.wait_subscribed(topic)
            await pub.send(topic + b"!")
            await pub.send_multipart([topic, b"", b"frames"])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish)
            # A SUB that has bound says what it wants in a call of its program.
            assert await sub.receive(2) == [[topic + b"!"], [topic, b"", b"frames"]]
        sub._socket.setsockopt(zmq.UNSUBSCRIBE, topic)
        await until(lambda: pub.topics_count == 0)


@pytest.mark.parametrize("size", [0, 245, 246, 255, 256, 70_000])
@pytest.mark.parametrize("binder", ["ours", "theirs"])
async def test_a_sub_hears_publishers_of_libzmq(wire_endpoint: str, size: int, binder: str, deadline: None) -> None:
    topic = b"t" * size
    async with mq.Sub() as sub, libzmq(zmq.XPUB) as xpub:
        sub.subscribe(topic)
        sub.subscribe(topic)
        if binder == "ours":
            xpub.connect(sub.bind(wire_endpoint))
        else:
            sub.connect(xpub.bind(theirs(wire_endpoint)))
        assert await xpub.receive() == [[b"\1" + topic]]
        await xpub.send([topic + b"!"], [topic, b"", b"frames"], [b"x"] if topic else [b""])
        got = [await sub.receive_multipart() for _ in range(2)]
        assert got == [[topic + b"!"], [topic, b"", b"frames"]]
        sub.unsubscribe(topic)
        sub.unsubscribe(topic)
        assert await xpub.receive() == [[b"\0" + topic]]


async def test_libzmqs_xpub_hears_each_topic_once_and_again_after_a_reconnection(deadline: None) -> None:
    topics = [b"a", b"b", b""]
    async with mq.Sub(reconnect_interval=0.01) as sub:
        for topic in (*topics, *topics):
            sub.subscribe(topic)
        address = ""
        for _ in range(2):
            async with libzmq(zmq.XPUB, XPUB_VERBOSE=1) as xpub:
                if address:
                    xpub.bind(address)
                else:
                    sub.connect(address := xpub.bind(TCP))
                assert sorted(await xpub.receive(3)) == sorted([b"\1" + topic] for topic in topics)
                sub.subscribe(b"mark")
                assert await xpub.receive() == [[b"\1mark"]]
                sub.unsubscribe(b"mark")
                assert await xpub.receive() == [[b"\0mark"]]


@pytest.mark.parametrize("verbose", [False, True])
async def test_an_xpub_hears_subscribers_of_libzmq(wire_endpoint: str, verbose: bool, deadline: None) -> None:
    async with mq.XPub(xpub_verboser=verbose) as xpub, libzmq(zmq.SUB) as one, libzmq(zmq.XSUB) as other:
        address = xpub.bind(wire_endpoint)
        one.connect(address)
        one._socket.setsockopt(zmq.SUBSCRIBE, b"a")
        assert await xpub.receive() == b"\1a"
        other.connect(address)
        await other.send([b"\1a"], [b"user", b"message"], [b"\1b"], [b"\0a"])
        expected = [[b"user", b"message"], [b"\1b"]]
        if verbose:
            expected = [[b"\1a"], *expected, [b"\0a"]]
        assert [await xpub.receive_multipart() for _ in expected] == expected
        await until(lambda: len(xpub._interested(b"a")) == 1)
        await xpub.send(b"a")
        await xpub.send(b"b")
        assert (await one.receive(), await other.receive()) == ([[b"a"]], [[b"b"]])


async def test_a_subscriber_of_libzmq_that_leaves_ends_its_subscriptions(wire_endpoint: str, deadline: None) -> None:
    async with mq.XPub() as xpub:
        address = xpub.bind(wire_endpoint)
        async with libzmq(zmq.SUB, SUBSCRIBE=b"a") as sub:  # type: ignore[arg-type]
            sub.connect(address)
            assert await xpub.receive() == b"\1a"
        assert await xpub.receive() == b"\0a"


async def test_manual_and_welcome_with_libzmq(wire_endpoint: str, deadline: None) -> None:
    async with mq.XPub(xpub_manual=True, xpub_welcome_message=b"welcome") as xpub, libzmq(zmq.XSUB) as xsub:
        xsub.connect(xpub.bind(wire_endpoint))
        assert await xsub.receive() == [[b"welcome"]]
        await xsub.send([b"\1A"])
        assert await xpub.receive() == b"\1A"
        xpub.subscribe(b"XA")
        await xpub.send(b"A")
        await xpub.send(b"XA")
        assert await xsub.receive() == [[b"XA"]]
        await xsub.send([b"\0A"])
        assert await xpub.receive() == b"\0A"
        xpub.unsubscribe(b"XA")
        assert xpub.topics_count == 0


async def test_libzmqs_manual_welcome_and_verbose_xpub_with_ours(wire_endpoint: str, deadline: None) -> None:
    options = {"XPUB_MANUAL": 1, "XPUB_WELCOME_MSG": b"welcome"}
    async with libzmq(zmq.XPUB, **options) as xpub, mq.XSub() as xsub:  # type: ignore[arg-type]
        xsub.connect(xpub.bind(theirs(wire_endpoint)))
        await xsub.send(b"\1A")
        assert await xpub.receive() == [[b"\1A"]]
        assert await xsub.receive() == b"welcome"
        xpub._socket.setsockopt(zmq.SUBSCRIBE, b"XA")
        await xpub.send([b"A"], [b"XA"])
        assert await xsub.receive() == b"XA"
        await xsub.send_multipart([b"user", b"message"])
        assert await xpub.receive() == [[b"user", b"message"]]


# -- bytes by hand -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("form", ["commands", "messages"])
async def test_subscriptions_of_either_form_are_heard_from_any_peer(
    wire_endpoint: str, minor: int, form: str, deadline: None
) -> None:
    async with mq.XPub() as xpub, raw_peer(xpub.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"SUB", minor)
        subscribe, cancel = (
            (command(b"SUBSCRIBE", b"A"), command(b"CANCEL", b"A"))
            if form == "commands"
            else (frame(b"\1A"), frame(b"\0A"))
        )
        await raw.say(subscribe)
        assert await xpub.receive() == b"\1A"
        await xpub.send(b"AB")
        assert await raw.hear_frame() == (0, b"AB")
        await xpub.send_multipart([b"A", b"B"])
        assert [await raw.hear_frame(), await raw.hear_frame()] == [(1, b"A"), (0, b"B")]
        await raw.say(cancel)
        assert await xpub.receive() == b"\0A"
        await xpub.send(b"AB")
        await wait_all_tasks_blocked()
        assert raw.hears_nothing()


@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("ours", [mq.Sub, mq.XSub])
async def test_what_a_subscriber_says(
    wire_endpoint: str, minor: int, ours: type[mq.Sub | mq.XSub], deadline: None
) -> None:
    async with ours() as sub, raw_peer(sub.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PUB", minor)
        if isinstance(sub, mq.Sub):
            sub.subscribe(b"A")
            sub.subscribe(b"A")
            sub.unsubscribe(b"A")
            sub.unsubscribe(b"A")
        else:
            await sub.send_multipart([b"\1A", b"\1A", b"\0A", b"\0A"])
        heard = [await raw.hear_frame() for _ in range(3)]
        if minor:
            assert heard == [(4, b"\x09SUBSCRIBEA")] * 2 + [(4, b"\x06CANCELA")]
        else:
            assert heard == [(0, b"\1A")] * 2 + [(0, b"\0A")]


async def test_the_sub_filters_what_a_publisher_sends_unasked(wire_endpoint: str, deadline: None) -> None:
    async def serve(raw: Raw) -> None:
        await raw.shake_hands(b"PUB")
        await raw.hear_frame()
        await raw.say(frame(b"x") + frame(b"a1") + multipart(b"x", b"a") + multipart(b"a", b"2") + frame(b""))
        await raw.hear_end()

    async with raw_server(wire_endpoint, serve) as address, mq.Sub() as sub:
        sub.subscribe(b"a")
        sub.connect(address)
        assert [await sub.receive_multipart() for _ in range(2)] == [[b"a1"], [b"a", b"2"]]


# -- subscribers that mean no good -------------------------------------------------------------------------


async def serves_well(pub: mq.Pub | mq.XPub, address: str, topic: bytes = b"good") -> None:
    """Assert that a good subscriber is served."""
    async with mq.Sub() as sub:
        sub.subscribe(topic)
        sub.connect(address)
        await pub.wait_subscribed(topic)
        await pub.send(topic + b"!")
        assert await sub.receive() == topic + b"!"


async def flood(raw: Raw, data: bytes, times: int) -> None:
    """Say ``data`` again and again, for as long as it is taken at once."""
    for _ in range(times):
        with trio.move_on_after(0.5) as scope:
            await raw.say(data)
        if scope.cancelled_caught:
            return


@pytest.mark.parametrize("said", [b"SUBSCRIBE", b"CANCEL", b"user message"])
async def test_a_flood_towards_an_xpub_that_nobody_receives_from_fills_no_memory(
    wire_endpoint: str, said: bytes, deadline: None
) -> None:
    each = frame(b"user message") if said == b"user message" else command(said, b"flood")
    data = each * (1_000_000 // len(each))
    async with mq.XPub(xpub_verboser=True, receive_hwm=100) as xpub:
        async with raw_peer(xpub.bind(wire_endpoint)) as raw:
            await raw.shake_hands(b"SUB")
            tracemalloc.start()
            try:
                await flood(raw, data, 100)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert xpub.statistics().queued_in <= 200
        assert peak < 32_000_000  # what one read brings, taken apart
        assert len(await receive_all(xpub, 100)) == 100


async def test_a_flood_towards_a_pub_is_worked_off_and_others_are_served(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pub() as pub:
        address = pub.bind(wire_endpoint)
        async with raw_peer(address) as raw, trio.open_nursery() as nursery:
            await raw.shake_hands(b"SUB")
            data = (command(b"SUBSCRIBE", b"flood") + command(b"CANCEL", b"flood") + frame(b"junk")) * 2000
            nursery.start_soon(flood, raw, data, 20)
            for number in numbered(5):
                await serves_well(pub, address, b"good " + number)
            nursery.cancel_scope.cancel()
        await until(lambda: pub.topics_count == 0)
        assert not pub._subscriptions._of


async def test_half_a_subscription_is_none(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pub() as pub, pub.monitor() as events:
        address = pub.bind(wire_endpoint)
        async with raw_peer(address) as raw:
            await raw.shake_hands(b"SUB")
            await raw.say(command(b"SUBSCRIBE", b"first") + command(b"SUBSCRIBE", b"second")[:-1])
            await pub.wait_subscribed(b"first")
            await serves_well(pub, address)
            assert set(pub._subscriptions.topics) <= {b"first", b"good"}
        reason = (await next_event(events, mq.Disconnected)).reason
        while "in the middle" not in reason:
            reason = (await next_event(events, mq.Disconnected)).reason
        await until(lambda: pub.topics_count == 0)


async def test_a_subscription_may_be_as_large_as_a_command_and_no_larger(wire_endpoint: str, deadline: None) -> None:
    most = 1024 * 1024 - len(b"\x09SUBSCRIBE")
    async with mq.Pub() as pub, pub.monitor() as events:
        address = pub.bind(wire_endpoint)
        async with raw_peer(address) as raw:
            await raw.shake_hands(b"SUB")
            await raw.say(command(b"SUBSCRIBE", b"t" * most))
            await pub.wait_subscribed(b"t" * most)
            await pub.send(b"t" * most)
            flags, body = await raw.hear_frame()
            assert (flags, len(body)) == (2, most)
        async with raw_peer(address) as raw:
            await raw.shake_hands(b"SUB")
            await raw.say(command(b"SUBSCRIBE", b"t" * (most + 1))[:1000])
            await raw.hear_end()
            while "command" not in (await next_event(events, mq.Disconnected)).reason:
                pass
        await serves_well(pub, address)


async def test_a_malformed_command_ends_one_connection_and_no_other(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pub() as pub, mq.Sub() as sub:
        address = pub.bind(wire_endpoint)
        sub.subscribe(b"")
        sub.connect(address)
        await pub.wait_subscribed()
        async with raw_peer(address) as raw:
            await raw.shake_hands(b"SUB")
            await raw.say(command(b"SUBSCRIBE", b"before") + frame(b"", 4))
            await raw.hear_end()
        await until(lambda: pub.topics_count == 1)
        for message in numbered(10):
            await pub.send(message)
        assert await receive_all(sub, 10) == numbered(10)
        assert sub.statistics().reconnects == 0


async def test_a_peer_that_is_gone_with_its_requests_unheeded_leaves_no_subscription(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.XPub(receive_hwm=2) as xpub, xpub.monitor() as events:
        address = xpub.bind(wire_endpoint)
        async with raw_peer(address) as raw:
            await raw.shake_hands(b"SUB")
            await raw.say(b"".join(command(b"SUBSCRIBE", topic) for topic in numbered(4)) + frame(b"user message"))
            await until(lambda: xpub.statistics().queued_in == 4)
            assert set(xpub._subscriptions.topics) == {b"0", b"1"}
        assert await receive_all(xpub, 2) == [b"\0010", b"\0011"]
        got = [await xpub.receive() for _ in range(5)]
        await next_event(events, mq.Disconnected)
        assert xpub.topics_count == 0
        told = set()
        for message in got:
            (told.add if message[:1] == b"\1" else told.discard)(message[1:])
        while xpub._readable:
            told.discard((await xpub.receive())[1:])
        assert told == set()
