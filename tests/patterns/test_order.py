"""What comes first after a reconnection? What the earlier connection had left, before what comes over the later one."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import zmq
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, next_event, until
from ..interop.libzmq import libzmq
from .meeting import numbered, receive_all

SOON: dict[str, Any] = {"reconnect_interval": 0.005, "reconnect_interval_max": 0.02}

SENDERS = {mq.Push: mq.Pull, mq.Dealer: mq.Dealer, mq.Pair: mq.Pair, mq.Scatter: mq.Gather, mq.Client: mq.Server}

sending = pytest.mark.parametrize(
    ("sender", "receiver"), SENDERS.items(), ids=[f"{each.__name__}-{to.__name__}" for each, to in SENDERS.items()]
)


def body_of(message: Any) -> bytes:
    """Return what was sent, without the name or number of its sender."""
    body: bytes = message[-1] if isinstance(message, (list, tuple)) else message
    return body


async def bodies(socket: Any, count: int) -> list[bytes]:
    receive = getattr(socket, "receive_multipart", socket.receive)
    return [body_of(await receive()) for _ in range(count)]


async def send_all(socket: Any, messages: list[bytes]) -> None:
    for message in messages:
        await socket.send(message)


# -- the side that binds -----------------------------------------------------------------------------------


@sending
async def test_what_a_connection_left_comes_before_what_the_next_brings(
    endpoint: str, sender: Any, receiver: Any, deadline: None
) -> None:
    messages = numbered(30)
    async with receiver() as receives, sender() as sends, receives.monitor() as events:
        endpoint = receives.bind(endpoint)
        for start in (0, 10, 20):
            sends.connect(endpoint)
            await sends.wait_connected()
            await send_all(sends, messages[start : start + 10])
            await until(lambda expected=start + 10: receives.statistics().queued_in == expected)  # type: ignore[misc]
            if start < 20:
                sends.disconnect(endpoint)
                await next_event(events, mq.Disconnected)
        assert await bodies(receives, 30) == messages


@sending
async def test_a_connect_right_after_a_disconnect_does_not_overtake(
    endpoint: str, sender: Any, receiver: Any, deadline: None
) -> None:
    messages = numbered(1001)
    async with receiver() as receives, sender(**SOON) as sends:
        endpoint = receives.bind(endpoint)
        sends.connect(endpoint)
        await sends.wait_connected()
        await send_all(sends, messages[:-1])
        sends.disconnect(endpoint)
        sends.connect(endpoint)
        await send_all(sends, messages[-1:])
        assert await bodies(receives, 1001) == messages


async def test_a_named_peer_is_the_same_over_all_its_connections(endpoint: str, deadline: None) -> None:
    messages = numbered(6)
    async with mq.Router() as router, router.monitor() as events:
        endpoint = router.bind(endpoint)
        for some in (messages[:3], messages[3:]):
            async with mq.Dealer(routing_id=b"X", **SOON) as dealer:
                dealer.connect(endpoint)
                await send_all(dealer, some)
            await next_event(events, mq.Disconnected)
        assert [await router.receive_multipart() for _ in messages] == [[b"X", each] for each in messages]


async def test_who_takes_the_name_of_another_is_received_after_it(wire_endpoint: str, deadline: None) -> None:
    first, second = mq.Dealer(routing_id=b"X", reconnect_interval=None), mq.Dealer(routing_id=b"X")
    async with mq.Router(router_handover=True) as router, first, second:
        endpoint = router.bind(wire_endpoint)
        first.connect(endpoint)
        await send_all(first, numbered(3))
        await until(lambda: router.statistics().queued_in == 3)
        second.connect(endpoint)
        await send_all(second, [b"3", b"4"])
        await until(lambda: router.statistics().queued_in == 5)
        assert await bodies(router, 5) == numbered(5)


async def test_others_are_not_held_up_by_what_a_peer_left(endpoint: str, deadline: None) -> None:
    async with mq.Router() as router, mq.Dealer(routing_id=b"B") as other, router.monitor() as events:
        endpoint = router.bind(endpoint)
        async with mq.Dealer(routing_id=b"A") as gone:
            gone.connect(endpoint)
            await send_all(gone, numbered(10))
        await next_event(events, mq.Disconnected)
        other.connect(endpoint)
        await other.send(b"from B")
        await until(lambda: router.statistics().queued_in == 11)
        assert b"from B" in await bodies(router, 2)


async def test_a_peer_that_was_there_before_keeps_its_turns(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as stays, pull.monitor() as events:
        endpoint = pull.bind(endpoint)
        stays.connect(endpoint)
        await stays.wait_connected()
        async with mq.Push() as gone:
            gone.connect(endpoint)
            await send_all(gone, [b"left"] * 10)
        await next_event(events, mq.Disconnected)
        await send_all(stays, [b"live"] * 10)
        await until(lambda: pull.statistics().queued_in == 20)
        got = await receive_all(pull, 20)
        assert got[:10].count(b"live") == got[10:].count(b"live") == 5


async def test_an_end_that_is_still_behind_unread_messages_counts_as_one(wire_endpoint: str, deadline: None) -> None:
    messages = numbered(501)
    async with mq.Pull(receive_hwm=10) as pull, mq.Push() as later:
        endpoint = pull.bind(wire_endpoint)
        async with mq.Push() as sooner:
            sooner.connect(endpoint)
            await send_all(sooner, messages[:-1])
        later.connect(endpoint)
        await send_all(later, messages[-1:])
        await until(lambda: len(pull.statistics().peers) == 2 and pull.statistics().queued_in >= 11)
        assert await receive_all(pull, 501) == messages


async def test_connections_that_bring_nothing_while_others_wait_are_forgotten(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, pull.monitor() as events:
        endpoint = pull.bind(endpoint)
        for number in range(20):
            async with mq.Push() as push:
                push.connect(endpoint)
                await push.wait_connected()
                if not number:
                    await push.send(b"left")
            await next_event(events, mq.Disconnected)
        assert len(pull._succession.behind) == 0
        assert await pull.receive() == b"left"
        assert not pull._succession._lines


async def test_a_chain_of_connections_is_received_in_its_order(endpoint: str, deadline: None) -> None:
    messages = numbered(20)
    async with mq.Pull() as pull, pull.monitor() as events:
        endpoint = pull.bind(endpoint)
        for message in messages:
            async with mq.Push() as push:
                push.connect(endpoint)
                await push.send(message)
            await next_event(events, mq.Disconnected)
        assert pull.statistics().queued_in == 20
        assert await receive_all(pull, 20) == messages


async def test_unsubscribing_drops_also_what_waits_behind(endpoint: str, deadline: None) -> None:
    async with mq.Sub() as sub, sub.monitor() as events:
        sub.subscribe(b"a")
        sub.subscribe(b"b")
        endpoint = sub.bind(endpoint)
        for number in b"123":
            async with mq.Pub() as pub:
                pub.connect(endpoint)
                await pub.wait_subscribed(b"a")
                await pub.wait_subscribed(b"b")
                await pub.send(b"a%c" % number)
                await pub.send(b"b%c" % number)
            await next_event(events, mq.Disconnected)
        sub.unsubscribe(b"a")
        assert await receive_all(sub, 3) == [b"b1", b"b2", b"b3"]


async def test_libzmq_under_one_name_is_received_in_its_order(wire_endpoint: str, deadline: None) -> None:
    async with mq.Router() as router, router.monitor() as events:
        endpoint = router.bind(wire_endpoint)
        for some in (numbered(10)[:5], numbered(10)[5:]):
            async with libzmq(zmq.DEALER, ROUTING_ID=b"X") as theirs:
                theirs.connect(endpoint)
                await theirs.send(*([each] for each in some))
            await next_event(events, mq.Disconnected)
        assert await bodies(router, 10) == numbered(10)


async def test_libzmq_that_connects_anew_is_received_in_its_order(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, libzmq(zmq.PUSH) as theirs:
        endpoint = pull.bind(wire_endpoint)
        for some in (numbered(1000)[:-1], numbered(1000)[-1:]):
            theirs.connect(endpoint)
            await theirs.send(*([each] for each in some))
            if len(some) > 1:
                await until(lambda: pull.statistics().queued_in == 999)
                theirs.disconnect(endpoint)
                # libzmq ends the connection while its program asks for something, and only then.
                await until(lambda: not theirs.writable and not pull.statistics().peers)
        await until(lambda: pull.statistics().queued_in == 1000)
        assert await receive_all(pull, 1000) == numbered(1000)


# -- the side that connects --------------------------------------------------------------------------------


@sending
async def test_what_a_bound_peer_left_comes_before_what_its_successor_sends(
    endpoint: str, sender: Any, receiver: Any, deadline: None
) -> None:
    if sender is mq.Client:
        pytest.skip("a SERVER does not speak first")
    messages = numbered(1000)
    async with receiver(**SOON) as receives, receives.monitor() as events:
        for some in (messages[:-1], messages[-1:]):
            async with sender() as sends:
                endpoint = sends.bind(endpoint)
                if len(some) > 1:
                    receives.connect(endpoint)
                await sends.wait_connected()
                await send_all(sends, some)
            await next_event(events, mq.Disconnected)
        assert await bodies(receives, 1000) == messages


@sending
async def test_disconnect_keeps_what_was_received_before_what_a_new_connection_brings(
    endpoint: str, sender: Any, receiver: Any, deadline: None
) -> None:
    if sender is mq.Client:
        pytest.skip("a SERVER does not speak first")
    messages = numbered(20)
    async with receiver(**SOON) as receives, sender() as sends:
        endpoint = sends.bind(endpoint)
        for start in (0, 10):
            receives.connect(endpoint)
            await sends.wait_connected()
            await send_all(sends, messages[start : start + 10])
            await until(lambda expected=start + 10: receives.statistics().queued_in == expected)  # type: ignore[misc]
            receives.disconnect(endpoint)
            await until(lambda: not sends.statistics().peers)
        assert await bodies(receives, 20) == messages


async def test_disconnect_keeps_also_what_was_read_and_had_no_room(wire_endpoint: str, deadline: None) -> None:
    async with married(mq.Push(), mq.Pull(receive_hwm=10), wire_endpoint) as (push, pull):
        await send_all(push, numbered(500))
        await until(lambda: pull.statistics().peers[0].messages_in > 100)
        count = pull.statistics().peers[0].messages_in
        pull.disconnect(pull.statistics().peers[0].endpoint)
        await until(lambda: not pull.statistics().peers)
        assert await receive_all(pull, count) == numbered(count)
        with pytest.raises(trio.WouldBlock):
            pull.receive_nowait()


async def test_disconnect_keeps_what_another_thread_has_sent(deadline: None) -> None:
    async with mq.Pull() as pull:
        pull.connect("inproc://thread-of-order")
        sent = trio.Event()

        async def send_in_thread(token: trio.lowlevel.TrioToken) -> None:
            async with mq.Push() as push:
                push.bind("inproc://thread-of-order")
                await push.wait_connected()
                await send_all(push, numbered(100))
                token.run_sync_soon(sent.set)
                while push.statistics().peers:  # noqa: ASYNC110 - it hears of the end by its next turn
                    await trio.sleep(0.001)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                trio.to_thread.run_sync, trio.run, send_in_thread, trio.lowlevel.current_trio_token()
            )
            await sent.wait()
            pull.disconnect("inproc://thread-of-order")
        await wait_all_tasks_blocked()
        assert await receive_all(pull, 100) == numbered(100)
