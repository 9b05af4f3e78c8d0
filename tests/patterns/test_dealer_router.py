"""Does a DEALER share out, and a ROUTER find whom a message names? Ids, notices, and peers that are not there."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio
import zmq
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, next_event, until
from ..interop.libzmq import libzmq
from ..links.raw import raw_peer
from ..protocols.wire import greeting, ready
from .meeting import HUGE, another, fill, numbered, receive_all, reserved

UNKNOWN = "no peer has the routing id that they were addressed to"
FULL = "its queue was full when they were sent (send_hwm)"


async def fill_for(router: mq.Router, name: bytes) -> int:
    """Send to ``name`` until its queue is full and stays so; return how many were sent."""
    sent = 0
    settled = False
    while True:
        try:
            router.send_multipart_nowait([name, HUGE])
        except trio.WouldBlock:
            if settled:
                return sent
            await wait_all_tasks_blocked(0.02)
            settled = True
        else:
            sent += 1
            settled = False


# -- DEALER ------------------------------------------------------------------------------------------------


async def test_dealer_sends_to_its_peers_in_turn(endpoint: str, deadline: None) -> None:
    async with mq.Dealer() as dealer, mq.Dealer() as one, mq.Dealer() as two:
        dealer.connect(one.bind(endpoint))
        await dealer.wait_connected()
        dealer.connect(two.bind(another(endpoint)))
        await dealer.wait_connected(2)
        for message in numbered(100):
            await dealer.send(message)
        assert await receive_all(one, 50) == numbered(100)[::2]
        assert await receive_all(two, 50) == numbered(100)[1::2]


async def test_dealer_receives_from_its_peers_in_turn(endpoint: str, deadline: None) -> None:
    async with mq.Dealer() as dealer, mq.Dealer() as one, mq.Dealer() as two:
        address = dealer.bind(endpoint)
        for peer in (one, two):
            peer.connect(address)
            await peer.wait_connected()
        for _ in range(20):
            await one.send(b"one")
            await two.send_multipart([b"two", b""])
        await until(lambda: dealer.statistics().queued_in == 40)
        got = [await dealer.receive_multipart() for _ in range(40)]
        assert sorted(got[:20]) == [[b"one"]] * 10 + [[b"two", b""]] * 10


async def test_dealer_waits_while_nobody_is_there_and_while_all_are_full(wire_endpoint: str, deadline: None) -> None:
    async with mq.Dealer(send_hwm=1) as dealer:
        with pytest.raises(trio.WouldBlock):
            dealer.send_nowait(b"")
        address = dealer.bind(wire_endpoint)
        with pytest.raises(trio.WouldBlock):
            dealer.send_multipart_nowait([b"", b""])
        async with mq.Router(receive_hwm=1) as router, trio.open_nursery() as nursery:
            router.connect(address)
            await dealer.wait_connected()
            sent = await fill(dealer, HUGE)
            assert 1 <= sent < 5
            nursery.start_soon(dealer.send, b"patient")
            for _ in range(sent):
                assert (await router.receive_multipart())[1] == HUGE
            assert (await router.receive_multipart())[1] == b"patient"


# -- ROUTER: who is who ------------------------------------------------------------------------------------


async def test_peers_without_a_name_get_five_bytes_of_which_the_first_is_zero(endpoint: str, deadline: None) -> None:
    async with mq.Router() as router, trio.open_nursery() as nursery:
        address = router.bind(endpoint)

        async def speak() -> None:
            async with mq.Dealer() as dealer:
                dealer.connect(address)
                await dealer.send(b"")
                assert await dealer.receive() == b"you"

        for _ in range(20):
            nursery.start_soon(speak)
        names = [(await router.receive_multipart())[0] for _ in range(20)]
        assert len(set(names)) == 20
        assert {(len(name), name[0]) for name in names} == {(5, 0)}
        for name in names:
            await router.send_multipart([name, b"you"])


@pytest.mark.parametrize("name", [b"a", b"\0", bytes(range(1, 256)), b"\xff" * 255], ids=lambda name: f"{len(name)}")
async def test_peers_with_a_name_go_by_it(endpoint: str, name: bytes, deadline: None) -> None:
    async with married(mq.Router(), mq.Dealer(routing_id=name), endpoint) as (router, dealer):
        await router.send_multipart([name, b"first"])
        assert await dealer.receive() == b"first"
        await dealer.send_multipart([b"", b"body"])
        assert await router.receive_multipart() == [name, b"", b"body"]


@pytest.mark.parametrize("name", [b"a", b"\xfe" * 255])
async def test_names_travel_to_and_from_libzmq(wire_endpoint: str, name: bytes, deadline: None) -> None:
    async with libzmq(zmq.ROUTER) as theirs, mq.Dealer(routing_id=name) as dealer:
        dealer.connect(theirs.bind(wire_endpoint))
        await dealer.send(b"hello")
        assert await theirs.receive() == [[name, b"hello"]]
        await theirs.send([name, b"reply"])
        assert await dealer.receive() == b"reply"
    async with libzmq(zmq.DEALER, ROUTING_ID=name) as theirs, mq.Router() as router:
        theirs.connect(router.bind(another(wire_endpoint)))
        await router.wait_connected()
        await router.send_multipart([name, b"hello"])
        assert await theirs.receive() == [[b"hello"]]


async def test_a_name_of_256_bytes_is_refused_here() -> None:
    with pytest.raises(ValueError, match="255"):
        mq.Dealer(routing_id=bytes(256))


async def test_router_receives_from_its_peers_in_turn(endpoint: str, deadline: None) -> None:
    async with mq.Router() as router, mq.Dealer(routing_id=b"1") as one, mq.Dealer(routing_id=b"2") as two:
        address = router.bind(endpoint)
        for peer in (one, two):
            peer.connect(address)
            await peer.wait_connected()
        for _ in range(20):
            await one.send(b"")
            await two.send(b"")
        await until(lambda: router.statistics().queued_in == 40)
        got = [(await router.receive_multipart())[0] for _ in range(40)]
        assert sorted(got[:20]) == [b"1"] * 10 + [b"2"] * 10


async def test_two_routers_speak_by_name(endpoint: str, deadline: None) -> None:
    async with married(mq.Router(routing_id=b"one"), mq.Router(routing_id=b"two"), endpoint) as (one, two):
        await one.send_multipart([b"two", b"hello"])
        assert await two.receive_multipart() == [b"one", b"hello"]
        await two.send_multipart([b"one", b"hello", b""])
        assert await one.receive_multipart() == [b"two", b"hello", b""]


# -- ROUTER: peers that are not there ----------------------------------------------------------------------


async def test_a_message_for_nobody_is_dropped_and_counted(endpoint: str, deadline: None) -> None:
    async with married(mq.Router(), mq.Dealer(routing_id=b"peer"), endpoint) as (router, dealer):
        async with router.monitor() as events:
            await router.send_multipart([b"nobody", b"1"])
            router.send_multipart_nowait([b"nobody", b"2"])
            assert (await next_event(events, mq.Dropped)).reason == UNKNOWN
        await router.send_multipart([b"peer", b"3"])
        assert await dealer.receive() == b"3"
        assert router.statistics().dropped == {UNKNOWN: 2}


async def test_with_router_mandatory_it_is_an_error(endpoint: str, deadline: None) -> None:
    async with mq.Router(router_mandatory=True) as router:
        address = router.bind(endpoint)
        with pytest.raises(mq.Unroutable, match="no peers are known"):
            await router.send_multipart([b"peer", b""])
        async with mq.Dealer(routing_id=b"peer") as dealer:
            dealer.connect(address)
            await router.wait_connected()
            await router.send_multipart([b"peer", b"hello"])
            assert await dealer.receive() == b"hello"
            with pytest.raises(mq.Unroutable, match=r"b'nobody'.* 1 peer is known"):
                router.send_multipart_nowait([b"nobody", b""])
        await until(lambda: not router.statistics().peers)
        with pytest.raises(mq.Unroutable):
            await router.send_multipart([b"peer", b""])
        assert router.statistics().dropped == {}


@pytest.mark.parametrize("mandatory", [False, True])
async def test_a_loop_that_sends_to_nobody_lets_others_run(mandatory: bool, deadline: None) -> None:
    turns = 0
    async with mq.Router(router_mandatory=mandatory) as router, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        for _ in range(256 * 10):
            try:
                await router.send_multipart([b"nobody", b""])
            except mq.Unroutable:
                assert mandatory
        nursery.cancel_scope.cancel()
    assert turns > 5


async def test_with_router_mandatory_a_full_queue_is_waited_for(wire_endpoint: str, deadline: None) -> None:
    router = mq.Router(router_mandatory=True, send_hwm=1)
    async with router, mq.Dealer(routing_id=b"1", receive_hwm=1) as slow, mq.Dealer(routing_id=b"2") as quick:
        address = router.bind(wire_endpoint)
        slow.connect(address)
        quick.connect(address)
        await router.wait_connected(2)
        sent = await fill_for(router, b"1")
        assert 1 <= sent < 5
        with pytest.raises(trio.WouldBlock):
            router.send_multipart_nowait([b"1", b""])
        for message in numbered(10):  # nobody else waits
            await router.send_multipart([b"2", message])
            assert await quick.receive() == message
        async with trio.open_nursery() as nursery:
            nursery.start_soon(router.send_multipart, [b"1", b"patient"])
            assert await receive_all(slow, sent) == [HUGE] * sent
            assert await slow.receive() == b"patient"
        assert router.statistics().dropped == {}


async def test_who_waits_for_room_is_told_when_the_peer_goes(wire_endpoint: str, deadline: None) -> None:
    async with mq.Router(router_mandatory=True, send_hwm=1) as router, trio.open_nursery() as nursery:
        address = router.bind(wire_endpoint)
        async with mq.Dealer(routing_id=b"1", receive_hwm=1) as slow:
            slow.connect(address)
            await router.wait_connected()
            await fill_for(router, b"1")

            @nursery.start_soon
            async def wait_in_vain() -> None:
                with pytest.raises(mq.Unroutable):
                    await router.send_multipart([b"1", b""])

            await wait_all_tasks_blocked()


async def test_without_it_what_a_full_queue_misses_is_counted(wire_endpoint: str, deadline: None) -> None:
    async with married(
        mq.Router(send_hwm=1), mq.Dealer(routing_id=b"1", receive_hwm=1), wire_endpoint
    ) as (router, slow):
        for _ in range(10):
            await router.send_multipart([b"1", HUGE])
        await slow.receive()
        await until(lambda: bool(router.statistics().dropped))
        missed = router.statistics().dropped[FULL]
        assert await receive_all(slow, 9 - missed) == [HUGE] * (9 - missed)


async def test_a_message_of_a_router_has_a_name_and_a_body(endpoint: str, deadline: None) -> None:
    async with mq.Router() as router:
        with pytest.raises(ValueError, match="begins with the routing id"):
            await router.send(b"alone")
        with pytest.raises(ValueError, match="begins with the routing id"):
            router.send_nowait(b"alone")
        with pytest.raises(ValueError, match="begins with the routing id"):
            await router.send_multipart([b"alone"])
        with pytest.raises(TypeError):
            await router.send_multipart([b"name", "text"])  # type: ignore[list-item]


async def test_a_closed_router_takes_nothing_more(endpoint: str, deadline: None) -> None:
    async with married(mq.Router(), mq.Dealer(routing_id=b"1"), endpoint) as (router, _):
        await router.send_multipart([b"1", b""])
        await router.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await router.send_multipart([b"1", b""])
        with pytest.raises(trio.ClosedResourceError):
            router.send_multipart_nowait([b"1", b""])


# -- ROUTER: two of one name -------------------------------------------------------------------------------


async def test_a_second_peer_of_the_same_name_is_turned_away_and_comes_back_when_the_first_has_left(
    endpoint: str, deadline: None
) -> None:
    options: Any = {"routing_id": b"name", "reconnect_interval": 0.01, "reconnect_interval_max": 0.01}
    async with mq.Router(router_mandatory=True) as router, mq.Dealer(**options) as second:
        address = router.bind(endpoint)
        async with mq.Dealer(routing_id=b"name") as first:
            first.connect(address)
            await router.wait_connected()
            async with router.monitor() as events:
                second.connect(address)
                refused = await next_event(events, mq.HandshakeFailed)
            assert refused.reason == "another peer has the routing id b'name'"
            await router.send_multipart([b"name", b"to the first"])
            assert await first.receive() == b"to the first"
            async with router.monitor() as events:
                await first.aclose()
                await next_event(events, mq.Disconnected)
                await next_event(events, mq.Handshaken)
        await router.send_multipart([b"name", b"to the second"])
        assert await second.receive() == b"to the second"


async def test_with_router_handover_a_new_peer_takes_the_name(endpoint: str, deadline: None) -> None:
    first = mq.Dealer(routing_id=b"name", reconnect_interval=None)
    async with mq.Router(router_handover=True) as router, mq.Dealer(routing_id=b"name") as second:
        address = router.bind(endpoint)
        async with first, first.monitor() as events:
            first.connect(address)
            await first.send(b"one")
            assert await router.receive_multipart() == [b"name", b"one"]
            second.connect(address)
            await second.send(b"two")
            assert await router.receive_multipart() == [b"name", b"two"]
            await next_event(events, mq.Disconnected)
            await router.send_multipart([b"name", b"to the second"])
            assert await second.receive() == b"to the second"
            await until(lambda: len(router.statistics().peers) == 1)
        await router.send_multipart([b"name", b"still there"])
        assert await second.receive() == b"still there"


async def test_two_peers_that_fight_for_a_name_leave_the_others_time(endpoint: str, deadline: None) -> None:
    async with mq.Router(router_handover=True) as router, mq.Dealer(routing_id=b"name") as one:
        address = router.bind(endpoint)
        async with mq.Dealer(routing_id=b"name") as two, mq.Dealer(routing_id=b"other") as other:
            for dealer in (one, two, other):
                dealer.connect(address)
            for message in numbered(1000):
                await other.send(message)
            for message in numbered(1000):
                assert await router.receive_multipart() == [b"other", message]
            assert router.statistics().reconnects == 0
        assert one.statistics().reconnects < 100


async def test_a_peer_that_comes_back_has_its_name_again(wire_endpoint: str, deadline: None) -> None:
    async with mq.Router() as router:
        address = router.bind(wire_endpoint)
        for message in numbered(3):
            async with mq.Dealer(routing_id=b"name") as dealer:
                dealer.connect(address)
                await dealer.send(message)
                assert await router.receive_multipart() == [b"name", message]
                await router.send_multipart([b"name", message])
                assert await dealer.receive() == message
            await until(lambda: not router.statistics().peers)


# -- ROUTER: connecting ------------------------------------------------------------------------------------


async def test_a_peer_can_be_named_by_the_router_that_connects_and_be_sent_to_at_once(
    endpoint: str, deadline: None
) -> None:
    address = await reserved(endpoint)
    async with mq.Router(router_mandatory=True, linger=0, reconnect_interval=0.01) as router:
        router.connect(address, routing_id=b"server")
        await router.send_multipart([b"server", b"early"])
        for expected in (b"early", b"again"):
            async with mq.Dealer(routing_id=b"what it calls itself") as dealer:
                dealer.bind(address)
                assert await dealer.receive() == expected
                await dealer.send(b"hello")
                assert await router.receive_multipart() == [b"server", b"hello"]
            await until(lambda: not router.statistics().peers[0].connected)
            await router.send_multipart([b"server", b"again"])
        router.disconnect(address)
        with pytest.raises(mq.Unroutable):
            await router.send_multipart([b"server", b"gone"])


async def test_a_router_may_connect_while_it_waits_to_receive(endpoint: str, deadline: None) -> None:
    async with mq.Router(routing_id=b"x") as x, mq.Router(routing_id=b"y") as y, mq.Router(routing_id=b"z") as z:
        address, other = x.bind(endpoint), z.bind(another(endpoint))
        y.connect(address, routing_id=b"to x")
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def answer() -> None:
                for _ in range(2):
                    name, body = await y.receive_multipart()
                    await y.send_multipart([name, b"re " + body])

            await wait_all_tasks_blocked()
            y.connect(other, routing_id=b"to z")
            for router in (x, z):
                await router.wait_connected()
                await router.send_multipart([b"y", b"hello"])
                assert await router.receive_multipart() == [b"y", b"re hello"]


@pytest.mark.parametrize("wrong", [b"", bytes(256), b"taken", "text", 5])
async def test_a_name_that_cannot_be_is_refused(endpoint: str, wrong: Any, deadline: None) -> None:
    async with mq.Router() as router, mq.Dealer() as dealer:
        address = dealer.bind(endpoint)
        router.connect(address, routing_id=b"taken")
        with pytest.raises((ValueError, TypeError), match="routing id"):
            router.connect(address, routing_id=wrong)
        assert len(router.statistics().peers) == 1


async def test_the_queue_of_a_named_peer_stays_bounded_however_often_it_is_lost(
    wire_endpoint: str, deadline: None
) -> None:
    address = await reserved(wire_endpoint)
    async with mq.Router(router_mandatory=True, send_hwm=2, reconnect_interval=0.01, linger=0) as router:
        router.connect(address, routing_id=b"server")
        for _ in range(4):
            async with mq.Dealer(receive_hwm=1) as dealer:
                dealer.bind(address)
                await router.wait_connected()
                await fill_for(router, b"server")
            await until(lambda: not router.statistics().peers[0].connected)
            assert router.statistics().queued_out <= 2


# -- notices -----------------------------------------------------------------------------------------------


async def test_router_notify_tells_who_comes_and_goes(endpoint: str, deadline: None) -> None:
    async with mq.Router(router_notify={"connect", "disconnect"}) as router:  # type: ignore[arg-type]
        address = router.bind(endpoint)
        for _ in range(3):
            async with mq.Dealer(routing_id=b"name") as dealer:
                dealer.connect(address)
                assert await router.receive_multipart() == [b"name", b""]
                await dealer.send(b"one")
                await dealer.send(b"two")
            assert [await router.receive_multipart() for _ in range(3)] == [
                [b"name", b"one"],
                [b"name", b"two"],
                [b"name", b""],
            ]
            await until(lambda: not router.statistics().peers)


@pytest.mark.parametrize("which", ["connect", "disconnect"])
async def test_router_notify_tells_only_what_it_is_asked_to(endpoint: str, which: str, deadline: None) -> None:
    async with mq.Router(router_notify={which}) as router:  # type: ignore[arg-type]
        address = router.bind(endpoint)
        async with mq.Dealer(routing_id=b"name") as dealer:
            dealer.connect(address)
            await dealer.send(b"body")
        expected = [[b"name", b"body"]]
        expected.insert(0 if which == "connect" else 1, [b"name", b""])
        assert [await router.receive_multipart() for _ in range(2)] == expected
        with pytest.raises(trio.WouldBlock):
            router.receive_multipart_nowait()


async def test_a_failed_handshake_is_not_notified(wire_endpoint: str, deadline: None) -> None:
    async with mq.Router(router_notify={"connect", "disconnect"}) as router, router.monitor() as events:  # type: ignore[arg-type]
        address = router.bind(wire_endpoint)
        async with mq.Push(reconnect_interval=None) as stranger:
            stranger.connect(address)
            await next_event(events, mq.HandshakeFailed)
        with pytest.raises(trio.WouldBlock):
            router.receive_multipart_nowait()


async def test_a_router_that_closes_leaves_no_notice_to_its_successor(deadline: None) -> None:
    options: Any = {"router_notify": {"disconnect"}, "disconnect_message": b"gone"}
    async with mq.Dealer(routing_id=b"name") as dealer:
        dealer.connect("inproc://successor")
        for message in (b"one", b"two"):
            async with mq.Router(**options) as router:
                router.bind("inproc://successor")
                await dealer.send(message)
                assert await router.receive_multipart() == [b"name", message]


@pytest.mark.parametrize("kind", [mq.Req, mq.Dealer, mq.Router])
async def test_probe_router_introduces_a_peer_that_has_not_spoken(
    endpoint: str, kind: Any, deadline: None
) -> None:
    async with mq.Router() as router, kind(routing_id=b"peer", probe_router=True) as peer:
        peer.connect(router.bind(endpoint))
        assert await router.receive_multipart() == [b"peer", b""]
        await router.send_multipart([b"peer", b"", b"hello"])
        if kind is not mq.Req:
            assert (await peer.receive_multipart())[-2:] == [b"", b"hello"]


async def test_a_router_that_connects_hears_the_probe_under_the_name_it_gave(endpoint: str, deadline: None) -> None:
    async with mq.Router() as router, mq.Dealer(probe_router=True, routing_id=b"its own") as dealer:
        router.connect(dealer.bind(endpoint), routing_id=b"ours")
        assert await router.receive_multipart() == [b"ours", b""]
    async with mq.Router() as router, mq.Dealer(probe_router=True, routing_id=b"its own") as dealer:
        router.connect(dealer.bind(another(endpoint)))
        assert await router.receive_multipart() == [b"its own", b""]


async def test_probes_travel_to_and_from_libzmq(wire_endpoint: str, deadline: None) -> None:
    async with libzmq(zmq.ROUTER) as theirs, mq.Dealer(routing_id=b"peer", probe_router=True) as dealer:
        dealer.connect(theirs.bind(wire_endpoint))
        assert await theirs.receive() == [[b"peer", b""]]
    async with libzmq(zmq.DEALER, ROUTING_ID=b"peer", PROBE_ROUTER=1) as theirs, mq.Router() as router:
        theirs.connect(router.bind(another(wire_endpoint)))
        assert await router.receive_multipart() == [b"peer", b""]


async def test_hello_comes_first_on_every_connection(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Dealer(hello_message=b"hello", reconnect_interval=0.01, routing_id=b"peer") as dealer:
        dealer.connect(address)
        await dealer.send(b"waits")
        expected = [b"hello", b"waits"]
        for _ in range(3):
            async with mq.Router(hello_message=b"welcome") as router:
                router.bind(address)
                for body in expected:
                    assert await router.receive_multipart() == [b"peer", body]
                assert await dealer.receive() == b"welcome"
            expected = [b"hello"]


async def test_a_notice_comes_before_hello_and_hello_before_what_waited(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Dealer(hello_message=b"hello", routing_id=b"peer") as dealer:
        dealer.connect(address)
        await dealer.send(b"waits")
        async with mq.Router(router_notify={"connect"}) as router:  # type: ignore[arg-type]
            router.bind(address)
            for body in (b"", b"hello", b"waits"):
                assert await router.receive_multipart() == [b"peer", body]


async def test_disconnect_message_comes_from_a_peer_that_is_gone(endpoint: str, deadline: None) -> None:
    async with mq.Router(disconnect_message=b"gone") as router:
        address = router.bind(endpoint)
        async with mq.Dealer(routing_id=b"peer") as dealer:
            dealer.connect(address)
            await dealer.send(b"last words")
        assert await router.receive_multipart() == [b"peer", b"last words"]
        assert await router.receive_multipart() == [b"peer", b"gone"]


async def test_hiccup_message_comes_when_the_connection_to_a_server_is_lost(endpoint: str, deadline: None) -> None:
    async with mq.Dealer(hiccup_message=b"hiccup", reconnect_interval=0.01) as dealer:
        address = endpoint
        for life in range(3):
            async with mq.Router() as router:
                address = router.bind(address)
                if not life:
                    dealer.connect(address)
                await dealer.send(b"")
                await router.receive_multipart()
            assert await dealer.receive() == b"hiccup"
        with pytest.raises(trio.WouldBlock):
            dealer.receive_nowait()


# -- who sent it -------------------------------------------------------------------------------------------


async def test_what_waits_keeps_the_name_that_its_sender_had(wire_endpoint: str, deadline: None) -> None:
    """The peer that a router connects to loses its name to another, and comes back with a new one."""
    sent = [[b"one"], [b"two", b"frames"], [b"three"]]
    async with mq.Router(router_handover=True, reconnect_interval=0.01) as router:
        back = router.bind("tcp://127.0.0.1:*")
        async with mq.Dealer(routing_id=b"name") as first, mq.Dealer(routing_id=b"name") as second:
            there = first.bind(wire_endpoint)
            router.connect(there)
            await first.wait_connected()
            for frames in [[b"zero"], *sent]:
                await first.send_multipart(frames)
            await until(lambda: router.statistics().queued_in == 4)
            assert await router.receive_multipart() == [b"name", b"zero"]
            first.unbind(there)
            await until(lambda: not any(peer.connected for peer in router.statistics().peers))
            second.connect(back)
            await router.wait_connected()
            async with mq.Dealer(routing_id=b"other") as third:
                third.bind(there)
                await router.wait_connected(2)
                await third.send(b"new")
                await until(lambda: router.statistics().queued_in == 4)
                assert [await router.receive_multipart() for _ in sent] == [[b"name", *frames] for frames in sent]
                assert await router.receive_multipart() == [b"other", b"new"]


async def test_the_sender_is_right_whoever_comes_in_between(endpoint: str, deadline: None) -> None:
    async with AsyncExitStack() as stack:
        router = await stack.enter_async_context(mq.Router())
        address = router.bind(endpoint)
        received: list[list[bytes]] = []
        names = [b"peer %d" % number for number in range(20)]  # a crowd
        for name in names:
            dealer = await stack.enter_async_context(mq.Dealer(routing_id=name))
            dealer.connect(address)
            await dealer.wait_connected()
            queued = router.statistics().queued_in
            for number in range(100):
                await dealer.send_multipart([b"%d" % number, name][: 1 + number % 2])
            await until(lambda queued=queued: router.statistics().queued_in == queued + 100)  # type: ignore[misc]
            for number in range(40):
                received.append(await router.receive_multipart() if number % 7 else router.receive_multipart_nowait())
                assert router.statistics().messages_in == len(received)
        received += [await router.receive_multipart() for _ in range(60 * len(names))]
        for name in names:
            expected = [[name, *[b"%d" % number, name][: 1 + number % 2]] for number in range(100)]
            assert [frames for frames in received if frames[0] == name] == expected


@pytest.mark.parametrize("kind", [mq.Dealer, mq.Router])
async def test_what_waits_within_the_process_is_received_once_though_its_sender_hung_up(
    kind: type[Any], deadline: None
) -> None:
    """The peer that a router connects to loses its name to another, and the router hangs up and comes back."""
    async with mq.Router(router_handover=True, routing_id=b"router") as router, kind(routing_id=b"name") as peer:
        peer.bind("inproc://there")
        router.connect("inproc://there")
        await router.wait_connected()
        for number in range(4):
            await router.send_multipart([b"name", b"%d" % number])
        async with router.monitor() as events, mq.Dealer(routing_id=b"name", reconnect_interval=None) as other:
            other.connect(router.bind("inproc://back"))
            await next_event(events, mq.Disconnected)
            await until(lambda: len(router.statistics().peers) == 1)
            await router.wait_connected()
        for number in range(4, 8):
            await router.send_multipart([b"name", b"%d" % number])
        assert peer.statistics().queued_in == 8
        received = [(await peer.receive_multipart())[-1] for _ in range(8)]
        assert received == [b"%d" % number for number in range(8)]
        with pytest.raises(trio.WouldBlock):
            peer.receive_multipart_nowait()


async def test_a_notice_comes_to_nobody_once_the_router_closes(deadline: None) -> None:
    """A handshake is completed while the socket flushes what is for a peer that is not there."""
    async with mq.Router(router_notify={"connect"}) as router, trio.open_nursery() as nursery:
        router.connect(await reserved("ipc://*"), routing_id=b"absent")
        await router.send_multipart([b"absent", b"waits"])
        async with raw_peer(router.bind("ipc://*")) as raw:
            await raw.say(greeting())
            await raw.hear(64)
            nursery.start_soon(router.aclose)
            await wait_all_tasks_blocked()
            await raw.say(ready(Socket_Type=b"DEALER"))
            assert (await raw.hear_frame())[1].startswith(b"\x05READY")
            await wait_all_tasks_blocked()
            with pytest.raises(trio.ClosedResourceError):
                await router.receive_multipart()
        nursery.cancel_scope.cancel()


# -- hanging up --------------------------------------------------------------------------------------------


async def test_a_peer_can_be_disconnected(endpoint: str, deadline: None) -> None:
    dealer = mq.Dealer(routing_id=b"peer", reconnect_interval=None)
    async with mq.Router(router_mandatory=True) as router, dealer, dealer.monitor() as events:
        dealer.connect(router.bind(endpoint))
        await router.wait_connected()
        await router.send_multipart([b"peer", b"goodbye"])
        router.disconnect_peer(b"peer")
        with pytest.raises(mq.Unroutable):
            await router.send_multipart([b"peer", b""])
        with pytest.raises(mq.Unroutable):
            router.disconnect_peer(b"peer")
        assert await dealer.receive() == b"goodbye"
        await next_event(events, mq.Disconnected)
        await until(lambda: not router.statistics().peers)
        assert router.statistics().dropped == {}


# -- conflate ----------------------------------------------------------------------------------------------


async def test_a_conflating_dealer_keeps_the_newest_each_way(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Dealer(conflate=True) as dealer, mq.Dealer() as peer:
        dealer.connect(address)
        for message in numbered(20):
            await dealer.send(message)
        peer.bind(address)
        assert await peer.receive() == b"19"
        for message in numbered(20):
            await peer.send_multipart([message, b"whole"])
        await until(lambda: sum(dealer.statistics().dropped.values()) == 19 + 19)
        assert await dealer.receive_multipart() == [b"19", b"whole"]
        assert set(dealer.statistics().dropped) == {"replaced by a newer one (conflate)"}
