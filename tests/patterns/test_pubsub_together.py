"""What is sent in one tick goes out together: in order, to whom it was for when it was sent, and counted as ever."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import Turns, until
from ..links.raw import raw_peer
from ..protocols.wire import SIGNATURE, command, frame_1_0, multipart_1_0
from .meeting import HUGE, numbered, receive_until, subscribed

BEHIND = "its queue was full when they were sent (send_hwm)"


@pytest.fixture(params=[mq.Pub, mq.XPub])
def publisher(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_messages_of_every_kind_stay_in_order(endpoint: str, publisher: Any, deadline: None) -> None:
    async with subscribed(publisher(), mq.Sub(), endpoint, b"") as (pub, sub):
        for number in range(0, 800, 4):
            await pub.send(b"%d" % number)
            await pub.send_multipart([b"%d" % (number + 1), b"more"])
            pub.send_nowait(b"%d" % (number + 2))
            pub.send_multipart_nowait([b"%d" % (number + 3)])
        got = [await sub.receive_multipart() for _ in range(800)]
    assert [frames[0] for frames in got] == numbered(800)
    assert {len(frames) for frames in got[1::4]} == {2}


async def test_sizes_and_topics_may_change_from_message_to_message(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"a", b"bb", b"end") as (pub, sub):
        sent = [b"abc"[n % 3 : n % 3 + 1] * (1 + n % 5) + b"%d" % n for n in range(200)]
        for message in sent:
            await pub.send(message)
        await pub.send(b"end")
        wanted = [message for message in sent if message.startswith((b"a", b"bb"))]
        assert await receive_until(sub, b"end") == wanted


async def test_what_waits_is_not_what_the_caller_does_with_its_list(wire_endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), wire_endpoint, b"") as (pub, sub):
        frames = [b"0", b"body"]
        for number in range(20):
            frames[0] = b"%d" % number
            await pub.send_multipart(frames)
        frames.clear()
        assert [await sub.receive_multipart() for _ in range(20)] == [[name, b"body"] for name in numbered(20)]


async def test_messages_go_to_whom_they_were_for_when_they_were_sent(wire_endpoint: str, deadline: None) -> None:
    async with subscribed(mq.XPub(xpub_manual=True), mq.XSub(), wire_endpoint) as (pub, sub):
        await sub.send(b"\1anything")
        assert await pub.receive() == b"\1anything"
        pub.subscribe(b"end")
        for number in range(3):
            await pub.send(b"late %d" % number)
        pub.subscribe(b"late")
        for number in range(3, 6):
            await pub.send(b"late %d" % number)
        pub.unsubscribe(b"late")
        for message in (b"late 6", b"end"):
            await pub.send(message)
        assert await receive_until(sub, b"end") == [b"late 3", b"late 4", b"late 5"]


async def test_closing_sends_what_waits(wire_endpoint: str, deadline: None) -> None:
    async with mq.Sub() as sub:
        address = sub.bind(wire_endpoint)
        sub.subscribe(b"")
        async with mq.Pub() as pub:
            pub.connect(address)
            await pub.wait_subscribed()
            for message in numbered(100):
                pub.send_nowait(message)
        assert [await sub.receive() for _ in range(100)] == numbered(100)


async def test_disconnecting_sends_what_waits(wire_endpoint: str, deadline: None) -> None:
    async with mq.Sub() as sub, mq.Pub() as pub:
        address = sub.bind(wire_endpoint)
        sub.subscribe(b"")
        pub.connect(address)
        await pub.wait_subscribed()
        for message in numbered(100):
            pub.send_nowait(message)
        pub.disconnect(address)
        assert [await sub.receive() for _ in range(100)] == numbered(100)


async def test_in_this_process_messages_are_there_when_the_send_returns(wire_endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), wire_endpoint, b"") as (pub, far), mq.Sub() as near:
        await pub.send(b"0")
        await pub.send(b"1")
        near.connect(pub.bind("inproc://near"))
        near.subscribe(b"")
        await pub.wait_subscribed(n=2)
        for number in range(2, 6):
            await pub.send(b"%d" % number)
            assert near.receive_nowait() == b"%d" % number
        assert [await far.receive() for _ in range(6)] == numbered(6)


async def test_when_it_is_gone_from_this_process_messages_wait_again(wire_endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), wire_endpoint, b"") as (pub, far):
        async with mq.Sub() as near:
            near.connect(pub.bind("inproc://near"))
            await pub.wait_connected(2)
        await until(lambda: len(pub.statistics().peers) == 1)
        for message in numbered(300):
            await pub.send(message)
        assert [await far.receive() for _ in range(300)] == numbered(300)


@pytest.mark.parametrize("hwm", [1, 5, 100])
async def test_what_does_not_fit_is_missed_and_the_rest_is_kept(wire_endpoint: str, hwm: int, deadline: None) -> None:
    async with mq.Pub(send_hwm=hwm) as pub, raw_peer(pub.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"SUB")
        await raw.say(command(b"SUBSCRIBE", b""))
        await pub.wait_subscribed()
        await pub.send(HUGE)
        await wait_all_tasks_blocked(0.02)  # what the kernel did not take is on its way, and counts
        for message in numbered(200):
            pub.send_nowait(message)
        statistics = pub.statistics()
        assert statistics.dropped == {BEHIND: 200 - (hwm - 1)}
        assert statistics.queued_out == hwm


async def test_sending_without_end_has_no_more_wait_than_the_limit(wire_endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(send_hwm=10), mq.Sub(), wire_endpoint, b"") as (pub, _):
        waiting = set()
        for message in numbered(5000):
            if int(message) % 3:
                await pub.send(message)
            else:
                pub.send_nowait(message)
            waiting.add(len(pub._waiting or ()))
        assert {1, 2, 3} < waiting
        assert max(waiting) <= 20
        assert pub.statistics().messages_out == 5000


async def test_more_than_one_write_takes_goes_out_all_the_same(wire_endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(write_batch=10), mq.Sub(), wire_endpoint, b"") as (pub, sub):
        for message in numbered(200):
            await pub.send(message)
        assert [await sub.receive() for _ in range(200)] == numbered(200)


async def test_a_peer_of_zmtp_1_0_gets_them_in_its_own_framing(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pub() as pub, raw_peer(pub.bind(wire_endpoint)) as raw:
        await raw.say(frame_1_0(b""))
        await pub.wait_subscribed(b"anything")
        for number in range(20):
            await pub.send(b"%d" % number)
            await pub.send_multipart([b"%d" % number, b"more"])
        wanted = b"".join(frame_1_0(b"%d" % n) + multipart_1_0(b"%d" % n, b"more") for n in range(20))
        greeting = SIGNATURE + frame_1_0(b"")[2:]
        assert await raw.hear(len(greeting) + len(wanted)) == greeting + wanted


async def test_statistics_may_be_asked_for_anywhere(wire_endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), wire_endpoint, b"") as (pub, sub):
        for message in numbered(20):
            await pub.send(message)
        child = os.fork()
        if not child:
            try:
                pub.statistics()
            finally:
                os._exit(0)
        await trio.to_thread.run_sync(os.waitpid, child, 0)
        asking = threading.Thread(target=pub.statistics)
        asking.start()
        asking.join()
        await pub.send(b"20")
        assert [await sub.receive() for _ in range(21)] == numbered(21)
        assert pub.statistics().messages_out == 21
        await wait_all_tasks_blocked(0.01)
        with pytest.raises(trio.WouldBlock):
            sub.receive_nowait()


async def test_a_turn_ends_whatever_was_sent_before(wire_endpoint: str, deadline: None) -> None:
    turns = Turns()
    async with subscribed(mq.Pub(), mq.Sub(), wire_endpoint, b"") as (pub, _), trio.open_nursery() as nursery:
        nursery.start_soon(turns.take)
        for message in numbered(256):
            await pub.send(bytearray(message))
        assert turns.count <= 5
        async with trio.open_nursery() as senders:
            for message in numbered(600):
                senders.start_soon(pub.send, message)
        before = turns.count
        for message in numbered(2560):
            await pub.send(message)
        assert turns.count - before >= 9
        assert pub.statistics().messages_out == 256 + 600 + 2560
        nursery.cancel_scope.cancel()


async def test_to_ask_for_statistics_elsewhere_sends_nothing(wire_endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), wire_endpoint, b"") as (pub, sub):
        for message in numbered(10):
            await pub.send(message)
        child = os.fork()
        if not child:
            try:
                os._exit(pub.statistics().messages_out)
            finally:
                os._exit(255)
        _, status = await trio.to_thread.run_sync(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 10
        assert [await sub.receive() for _ in range(10)] == numbered(10)
        assert sub.statistics().queued_in == 0
        await pub.send(b"end")
        assert await sub.receive() == b"end"


async def test_a_block_that_is_cancelled_leaves_nothing_that_hands_out(wire_endpoint: str, deadline: None) -> None:
    with trio.CancelScope() as scope:
        async with subscribed(mq.Pub(), mq.Sub(), wire_endpoint, b"") as (pub, _):
            for message in numbered(10):
                await pub.send(message)
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
