"""Do options that show on the wire mean the same to libzmq and to us? Each on either side."""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio
import zmq

import mq

from ..conftest import next_event, until
from .libzmq import join, libzmq, meeting

binders = pytest.mark.parametrize("binder", ["ours", "theirs"])

# -- who is who --------------------------------------------------------------------------------------------


@binders
async def test_libzmqs_router_makes_up_a_name_for_us(wire_endpoint: str, binder: str, deadline: None) -> None:
    async with meeting(mq.Dealer(), zmq.ROUTER, wire_endpoint, binder) as (dealer, theirs):
        await dealer.send(b"hello")
        ((name, body),) = await theirs.receive()
        assert (len(name), name[0], body) == (5, 0, b"hello")
        await theirs.send([name, b"you too"])
        assert await dealer.receive() == b"you too"


@binders
async def test_we_make_up_a_name_for_libzmqs_dealer(wire_endpoint: str, binder: str, deadline: None) -> None:
    async with meeting(mq.Router(), zmq.DEALER, wire_endpoint, binder) as (router, theirs):
        await theirs.send([b"hello"])
        name, body = await router.receive_multipart()
        assert (len(name), name[0], body) == (5, 0, b"hello")
        await router.send_multipart([name, b"you too"])
        assert await theirs.receive() == [[b"you too"]]


async def test_names_have_up_to_255_bytes_of_any_kind(wire_endpoint: str, deadline: None) -> None:
    name = random.Random(1).randbytes(255)
    async with meeting(mq.Router(), zmq.DEALER, wire_endpoint, "ours", ROUTING_ID=name) as (router, theirs):
        await router.send_multipart([name, b"hello"])
        assert await theirs.receive() == [[b"hello"]]
    async with meeting(mq.Dealer(routing_id=name), zmq.ROUTER, wire_endpoint, "theirs") as (dealer, theirs):
        await dealer.send(b"hello")
        assert await theirs.receive() == [[name, b"hello"]]


async def test_a_second_dealer_of_libzmqs_takes_over_the_name(wire_endpoint: str, deadline: None) -> None:
    async with (
        libzmq(zmq.DEALER, ROUTING_ID=b"ann", RECONNECT_IVL=-1) as first,
        libzmq(zmq.DEALER, ROUTING_ID=b"ann") as second,
        mq.Router(router_handover=True) as router,
        router.monitor() as events,
    ):
        address = router.bind(wire_endpoint)
        first.connect(address)
        await first.send([b"I am first"])
        assert await router.receive_multipart() == [b"ann", b"I am first"]
        second.connect(address)
        assert "ann" in (await next_event(events, mq.Disconnected)).reason
        await second.send([b"I am second"])
        assert await router.receive_multipart() == [b"ann", b"I am second"]
        await router.send_multipart([b"ann", b"who are you?"])
        assert await second.receive() == [[b"who are you?"]]
        assert not await first.pending()


async def test_a_second_dealer_of_libzmqs_is_turned_away_while_the_first_is_there(
    wire_endpoint: str, deadline: None
) -> None:
    async with (
        mq.Router() as router,
        router.monitor() as events,
        libzmq(zmq.DEALER, ROUTING_ID=b"ann", RECONNECT_IVL=10) as second,
    ):
        address = router.bind(wire_endpoint)
        async with libzmq(zmq.DEALER, ROUTING_ID=b"ann") as first:
            first.connect(address)
            await first.send([b"I am first"])
            assert await router.receive_multipart() == [b"ann", b"I am first"]
            second.connect(address)
            assert "ann" in (await next_event(events, mq.HandshakeFailed)).reason
            await router.send_multipart([b"ann", b"who are you?"])
            assert await first.receive() == [[b"who are you?"]]
        await second.send([b"I am second"])
        assert await router.receive_multipart() == [b"ann", b"I am second"]


async def test_our_second_dealer_takes_over_the_name_at_libzmq(wire_endpoint: str, deadline: None) -> None:
    async with libzmq(zmq.ROUTER, ROUTER_HANDOVER=1) as theirs:
        address = theirs.bind(wire_endpoint)
        async with mq.Dealer(routing_id=b"ann") as first, mq.Dealer(routing_id=b"ann") as second:
            first.connect(address)
            await first.send(b"I am first")
            assert await theirs.receive() == [[b"ann", b"I am first"]]
            second.connect(address)
            await second.send(b"I am second")
            assert await theirs.receive() == [[b"ann", b"I am second"]]
            await theirs.send([b"ann", b"who are you?"])
            assert await second.receive() == b"who are you?"
            with pytest.raises(trio.WouldBlock):
                first.receive_nowait()


@binders
@pytest.mark.parametrize("kind", [mq.Req, mq.Dealer, mq.Router])
async def test_our_probe_introduces_us(kind: Any, wire_endpoint: str, binder: str, deadline: None) -> None:
    ours = kind(probe_router=True, routing_id=b"ours")
    async with meeting(ours, zmq.ROUTER, wire_endpoint, binder, ROUTING_ID=b"theirs") as (_, theirs):
        assert await theirs.receive() == [[b"ours", b""]]


@binders
@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER, zmq.ROUTER])
async def test_libzmqs_probe_introduces_it(kind: int, wire_endpoint: str, binder: str, deadline: None) -> None:
    async with libzmq(kind, PROBE_ROUTER=1, ROUTING_ID=b"theirs") as theirs, mq.Router() as router:
        join(router, theirs, wire_endpoint, binder)
        with trio.move_on_after(20):
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def use() -> None:  # a libzmq that is bound meets its peers when its socket is next used
                    while not await theirs.pending(1):
                        pass

                assert await router.receive_multipart() == [b"theirs", b""]
                nursery.cancel_scope.cancel()


# -- requests ----------------------------------------------------------------------------------------------


async def test_libzmqs_numbered_requests_are_answered(wire_endpoint: str, deadline: None) -> None:
    options = {"REQ_CORRELATE": 1, "REQ_RELAXED": 1}
    async with meeting(mq.Rep(), zmq.REQ, wire_endpoint, "ours", **options) as (rep, theirs):
        await theirs.send([b"one"], [b"two"])  # relaxed: the first is given up
        for question in (b"one", b"two"):
            assert await rep.receive() == question
            await rep.send(question + b"?")
        assert await theirs.receive() == [[b"two?"]]


async def test_libzmq_takes_only_the_reply_with_the_number_of_its_request(wire_endpoint: str, deadline: None) -> None:
    options: dict[str, int | bytes] = {"REQ_CORRELATE": 1, "REQ_RELAXED": 1, "ROUTING_ID": b"ann"}
    async with meeting(mq.Router(), zmq.REQ, wire_endpoint, "ours", **options) as (router, theirs):
        await theirs.send([b"hello"])
        name, number, empty, body = await router.receive_multipart()
        assert (name, len(number), empty, body) == (b"ann", 4, b"", b"hello")
        await router.send_multipart([name, bytes(255 - each for each in number), b"", b"for somebody else"])
        await router.send_multipart([name, number, b"", b"for you"])
        assert await theirs.receive() == [[b"for you"]]


async def test_our_requests_give_up_and_go_on_with_libzmq(wire_endpoint: str, deadline: None) -> None:
    req = mq.Req(req_correlate=True, req_relaxed=True)
    async with meeting(req, zmq.REP, wire_endpoint, "theirs") as (req, theirs):
        await req.send(b"one")
        await req.send(b"two")
        for question in (b"one", b"two"):
            assert await theirs.receive() == [[question]]
            await theirs.send([question + b"?"])
        assert await req.receive() == b"two?"
        assert sum(req.statistics().dropped.values()) == 1


async def test_many_requests_at_once_are_answered_by_several_libzmqs(wire_endpoint: str, deadline: None) -> None:
    answers: dict[int, bytes] = {}

    async def serve(theirs: Any) -> None:
        for _ in range(50):
            ((body,),) = await theirs.receive()
            await theirs.send([body[::-1]])

    async with libzmq(zmq.REP) as one, libzmq(zmq.REP) as two, mq.Req() as req, trio.open_nursery() as nursery:
        address = req.bind(wire_endpoint)
        one.connect(address)
        two.connect(address)
        await req.wait_connected(2)

        async def ask(number: int) -> None:
            answers[number] = await req.request(b"%03d" % number)

        for number in range(100):
            nursery.start_soon(ask, number)
        nursery.start_soon(serve, one)
        nursery.start_soon(serve, two)
    assert answers == {number: (b"%03d" % number)[::-1] for number in range(100)}


async def test_many_dealers_of_libzmqs_are_served(wire_endpoint: str, deadline: None) -> None:
    async def handle(message: Any) -> Any:
        return message[::-1]

    async with (
        libzmq(zmq.DEALER) as dealer,
        libzmq(zmq.REQ) as req,
        mq.Router() as router,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(router.serve, handle)
        address = router.bind(wire_endpoint)
        dealer.connect(address)
        req.connect(address)
        await dealer.send(*([b"way", b"back", b"", b"%03d" % number] for number in range(50)))
        got = await dealer.receive(50)
        assert sorted(got) == sorted([b"way", b"back", b"", (b"%03d" % number)[::-1]] for number in range(50))
        await req.send([b"one", b"two"])
        assert await req.receive() == [[b"two", b"one"]]
        nursery.cancel_scope.cancel()


# -- subscriptions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, [b"\1news", b"\0news"]),
        ({"XPUB_VERBOSE": 1}, [b"\1news", b"\1news", b"\0news"]),
        ({"XPUB_VERBOSER": 1}, [b"\1news", b"\1news", b"\0news", b"\0news"]),
    ],
)
async def test_libzmqs_xpub_is_told_what_we_subscribe_to(
    options: dict[str, int | bytes], told: list[bytes], wire_endpoint: str, deadline: None
) -> None:
    async with libzmq(zmq.XPUB, **options) as theirs, mq.Sub() as one, mq.XSub() as two:
        address = theirs.bind(wire_endpoint)
        one.subscribe(b"news")
        one.connect(address)
        assert await theirs.receive() == [[b"\1news"]]
        two.connect(address)
        await two.wait_connected()
        await two.send(b"\1news")
        if len(told) > 2:
            assert await theirs.receive() == [[b"\1news"]]
        await two.send(b"a marker")
        assert await theirs.receive() == [[b"a marker"]]
        one.unsubscribe(b"news")
        if len(told) > 3:
            assert await theirs.receive() == [[b"\0news"]]
        one.subscribe(b"then")
        assert await theirs.receive() == [[b"\1then"]]
        await two.send(b"\0news")
        assert await theirs.receive() == [[b"\0news"]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, [b"\1news", b"\0news"]),
        ({"xpub_verbose": True}, [b"\1news", b"\1news", b"\0news"]),
        ({"xpub_verboser": True}, [b"\1news", b"\1news", b"\0news", b"\0news"]),
    ],
)
async def test_our_xpub_is_told_what_libzmq_subscribes_to(
    options: dict[str, Any], told: list[bytes], wire_endpoint: str, deadline: None
) -> None:
    xpub = mq.XPub(**options)
    async with xpub, libzmq(zmq.SUB, LINGER=0) as one, libzmq(zmq.XSUB, LINGER=0) as two:
        address = xpub.bind(wire_endpoint)
        one.set("SUBSCRIBE", b"news")
        one.connect(address)
        assert await xpub.receive() == b"\1news"
        two.connect(address)
        await two.send([b"\1news"], [b"a marker"])
        heard = [b"\1news"]
        while heard[-1] != b"a marker":
            heard.append(await xpub.receive())
        one.set("UNSUBSCRIBE", b"news")
        one.set("SUBSCRIBE", b"then")
        while heard[-1] != b"\1then":
            heard.append(await xpub.receive())
        await two.send([b"\0news"], [b"the end"])
        while heard[-1] != b"the end":
            heard.append(await xpub.receive())
        assert [each for each in heard if each.endswith(b"news")] == told


async def test_we_are_welcomed_by_libzmqs_xpub(wire_endpoint: str, deadline: None) -> None:
    async with libzmq(zmq.XPUB, XPUB_WELCOME_MSG=b"welcome!") as theirs, mq.Sub() as sub:
        sub.subscribe(b"welcome")
        sub.connect(theirs.bind(wire_endpoint))
        assert await theirs.receive() == [[b"\1welcome"]]
        assert await sub.receive() == b"welcome!"


@binders
async def test_we_welcome_libzmqs_subscribers(wire_endpoint: str, binder: str, deadline: None) -> None:
    xpub = mq.XPub(xpub_welcome_message=b"welcome!")
    async with libzmq(zmq.SUB, LINGER=0, SUBSCRIBE=b"welcome") as theirs, xpub:
        join(xpub, theirs, wire_endpoint, binder)
        assert await theirs.receive() == [[b"welcome!"]]


async def test_libzmqs_xpub_by_hand_gives_us_another_topic(wire_endpoint: str, deadline: None) -> None:
    async with libzmq(zmq.XPUB, XPUB_MANUAL=1) as theirs, mq.XSub() as xsub:
        xsub.connect(theirs.bind(wire_endpoint))
        await xsub.send(b"\1news")
        assert await theirs.receive() == [[b"\1news"]]
        theirs.set("SUBSCRIBE", b"sports")
        await theirs.send([b"news"], [b"sports"])
        assert await xsub.receive() == b"sports"


async def test_our_xpub_by_hand_gives_libzmq_another_topic(wire_endpoint: str, deadline: None) -> None:
    async with mq.XPub(xpub_manual=True) as xpub, libzmq(zmq.XSUB, LINGER=0) as theirs:
        theirs.connect(xpub.bind(wire_endpoint))
        await theirs.send([b"\1news"])
        assert await xpub.receive() == b"\1news"
        xpub.subscribe(b"sports")
        await xpub.send(b"news")
        await xpub.send(b"sports")
        assert await theirs.receive() == [[b"sports"]]


async def test_topics_may_be_long(wire_endpoint: str, deadline: None) -> None:
    """Around 246 bytes a SUBSCRIBE becomes a long frame."""
    topics = [bytes([65 + number]) * size for number, size in enumerate((244, 245, 246, 247, 254, 255, 256, 70_000))]
    async with libzmq(zmq.XPUB) as theirs, mq.Sub() as sub:
        sub.connect(theirs.bind(wire_endpoint))
        for topic in topics:
            sub.subscribe(topic)
        assert await theirs.receive(len(topics)) == [[b"\1" + topic] for topic in topics]
        await theirs.send(*([topic] for topic in topics))
        assert [await sub.receive() for _ in topics] == topics
    async with mq.XPub() as xpub, libzmq(zmq.SUB, LINGER=0) as theirs:
        theirs.connect(xpub.bind(wire_endpoint))
        for topic in topics:
            theirs.set("SUBSCRIBE", topic)
        assert [await xpub.receive() for _ in topics] == [b"\1" + topic for topic in topics]
        for topic in topics:
            await xpub.send(topic)
        assert await theirs.receive(len(topics)) == [[topic] for topic in topics]


async def test_inverted_matching_means_the_same(wire_endpoint: str, deadline: None) -> None:
    async with libzmq(zmq.XPUB, INVERT_MATCHING=1) as theirs, mq.Sub(invert_matching=True) as sub:
        sub.subscribe(b"news")
        sub.connect(theirs.bind(wire_endpoint))
        assert await theirs.receive() == [[b"\1news"]]
        await theirs.send([b"news"], [b"sports"])
        assert await sub.receive() == b"sports"
    async with mq.XPub(invert_matching=True) as xpub, libzmq(zmq.SUB, LINGER=0, INVERT_MATCHING=1) as theirs:
        theirs.set("SUBSCRIBE", b"news")
        theirs.connect(xpub.bind(wire_endpoint))
        assert await xpub.receive() == b"\1news"
        await xpub.send(b"news")
        await xpub.send(b"sports")
        assert await theirs.receive() == [[b"sports"]]


# -- what is told of the connection ------------------------------------------------------------------------


async def test_libzmq_reads_our_metadata(wire_endpoint: str, deadline: None) -> None:
    dealer = mq.Dealer(routing_id=b"ann", metadata={"X-Unit": "7", "X-Place": "Zürich"})
    async with meeting(dealer, zmq.ROUTER, wire_endpoint, "theirs") as (_, theirs):
        await dealer.send(b"hello")
        frame = (await theirs.receive_frames())[-1]
        assert frame.bytes == b"hello"
        assert frame.get("X-Unit") == "7"
        assert frame.get("X-Place") == "Zürich"
        assert frame.get("Identity") == "ann"
        assert frame.get("Socket-Type") == "DEALER"


@binders
async def test_libzmqs_monitor_sees_our_handshake_and_our_leaving(
    wire_endpoint: str, binder: str, deadline: None
) -> None:
    async with libzmq(zmq.PAIR, LINGER=0) as theirs, theirs.monitor() as events:
        async with mq.Pair() as pair:
            join(pair, theirs, wire_endpoint, binder)
            await pair.wait_connected()
            assert await events.next(zmq.Event.HANDSHAKE_SUCCEEDED)
        assert await events.next(zmq.Event.DISCONNECTED)
    assert not events.seen & {
        zmq.Event.HANDSHAKE_FAILED_PROTOCOL,
        zmq.Event.HANDSHAKE_FAILED_NO_DETAIL,
        zmq.Event.HANDSHAKE_FAILED_AUTH,
    }


@binders
async def test_a_short_handshake_ivl_of_libzmqs_is_kept(wire_endpoint: str, binder: str, deadline: None) -> None:
    options = {"HANDSHAKE_IVL": 100, "HEARTBEAT_IVL": 20, "HEARTBEAT_TIMEOUT": 5000}
    async with meeting(mq.Pair(), zmq.PAIR, wire_endpoint, binder, **options) as (pair, theirs):
        # Ten PINGs take at least two such intervals: the timer was stopped when we were ready.
        await until(lambda: pair.statistics().bytes_in > 64 + 10 * 9 + 100)
        assert pair.statistics().reconnects == 0
        await pair.send(b"still the same")
        assert await theirs.receive() == [[b"still the same"]]


# -- slow readers ------------------------------------------------------------------------------------------

COUNT = 3000


@pytest.mark.parametrize("kinds", [(zmq.PUSH, mq.Pull), (zmq.DEALER, mq.Dealer), (zmq.PAIR, mq.Pair)])
async def test_libzmq_waits_for_our_slow_receiver(kinds: tuple[int, Any], wire_endpoint: str, deadline: None) -> None:
    kind, ours = kinds
    async with meeting(ours(receive_hwm=5), kind, wire_endpoint, "ours", SNDHWM=5) as (slow, theirs):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                await theirs.send(*([b"%d" % number, bytes(10_000)] for number in range(COUNT)))

            # 30 MB fit into no queue and no kernel: libzmq has to stop, and we read only when it has.
            await until(lambda: slow.statistics().queued_in >= 5)
            for number in range(COUNT):
                assert (await slow.receive_multipart())[0] == b"%d" % number
        assert not slow.statistics().dropped


@pytest.mark.parametrize("kinds", [(mq.Push, zmq.PULL), (mq.Dealer, zmq.DEALER), (mq.Pair, zmq.PAIR)])
async def test_we_wait_for_libzmqs_slow_receiver(kinds: tuple[Any, int], wire_endpoint: str, deadline: None) -> None:
    ours, kind = kinds
    async with meeting(ours(send_hwm=5), kind, wire_endpoint, "theirs", RCVHWM=5) as (eager, theirs):
        sent = 0
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                nonlocal sent
                for number in range(COUNT):
                    await eager.send_multipart([b"%d" % number, bytes(10_000)])
                    sent += 1

            await until(lambda: eager.statistics().queued_out >= 5)
            assert sent < COUNT
            got = 0
            while got < COUNT:
                for frames in await theirs.receive(100):
                    assert frames[0] == b"%d" % got
                    got += 1
        assert not eager.statistics().dropped


async def test_what_a_slow_subscriber_of_libzmqs_misses_is_counted(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pub(send_hwm=10) as pub, libzmq(zmq.SUB, LINGER=0, RCVHWM=10, SUBSCRIBE=b"") as theirs:
        theirs.connect(pub.bind(wire_endpoint))
        await pub.wait_subscribed(b"")
        for _ in range(COUNT):
            await pub.send_multipart([b"news", bytes(10_000)])
        got = 0
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def read() -> None:
                nonlocal got
                while await theirs.receive() != [[b"the end"]]:
                    got += 1

            await until(lambda: not pub.statistics().queued_out)
            await pub.send(b"the end")
        missed = sum(pub.statistics().dropped.values())
        assert missed > 0
        assert got + missed == COUNT
