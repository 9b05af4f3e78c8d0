"""What becomes of unsent messages? Leaving in order flushes them; otherwise somebody is told."""

from __future__ import annotations

import logging
import math
import re

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, next_event, until
from .meeting import HUGE, fill, numbered, receive_all, reserved

LARGE = bytes(256 * 1024)


async def test_leaving_in_order_flushes_to_a_slow_reader(endpoint: str, deadline: None) -> None:
    total = 5000
    async with mq.Pull(receive_hwm=10) as pull, trio.open_nursery() as nursery:
        address = pull.bind(endpoint)
        left = trio.Event()

        @nursery.start_soon
        async def send() -> None:
            async with mq.Push(send_hwm=total) as push:
                push.connect(address)
                for message in numbered(total):
                    await push.send_multipart([message, bytes(1000)])
            left.set()

        await pull.wait_connected()
        for message in numbered(total):
            frames = await pull.receive_multipart()
            assert frames[0] == message
            await trio.lowlevel.checkpoint()
        await left.wait()


async def test_a_binding_socket_flushes_to_all_its_peers(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as one, mq.Pull() as two:
        async with mq.Push() as push:
            address = push.bind(endpoint)
            one.connect(address)
            two.connect(address)
            await push.wait_connected(2)
            for message in numbered(1000):
                await push.send(message)
        got = [await receive_all(pull, 500) for pull in (one, two)]
        assert sorted(got) == sorted([numbered(1000)[0::2], numbered(1000)[1::2]])


async def test_leaving_flushes_although_the_peer_sends_all_the_time(endpoint: str, deadline: None) -> None:
    async with mq.Pair(linger=0) as talker, trio.open_nursery() as nursery:
        address = talker.bind(endpoint)

        @nursery.start_soon
        async def talk() -> None:
            while True:
                await talker.send(bytes(10_000))

        @nursery.start_soon
        async def leave() -> None:
            async with mq.Pair() as leaver:
                leaver.connect(address)
                for message in numbered(500):
                    await leaver.send_multipart([message, bytes(10_000)])

        for message in numbered(500):
            assert (await talker.receive_multipart())[0] == message
        nursery.cancel_scope.cancel()


async def test_leaving_waits_for_a_peer_that_is_still_to_come(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            async with mq.Push(linger=math.inf) as push:
                push.connect(address)
                for message in numbered(100):
                    await push.send(message)

        await wait_all_tasks_blocked()
        async with mq.Pull() as pull:
            pull.bind(address)
            assert await receive_all(pull, 100) == numbered(100)


async def test_linger_counts_anew_whenever_the_peer_takes_something(autojump_clock: trio.testing.MockClock) -> None:
    async with mq.Push(linger=3.0) as push:
        push.connect("inproc://late")
        await push.send(b"hello")
        pull = mq.Pull()

        async def come_late() -> None:
            await trio.sleep(2.9)
            async with pull:
                pull.bind("inproc://late")
                assert await pull.receive() == b"hello"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come_late)
            await push.aclose()


async def test_no_linger_drops_at_once(endpoint: str, deadline: None, caplog: pytest.LogCaptureFixture) -> None:
    address = await reserved(endpoint)
    async with mq.Push(linger=0) as push:
        push.connect(address)
        for message in numbered(7):
            await push.send(message)
    assert "dropped 7 unsent messages" in caplog.text
    assert sum(push.statistics().dropped.values()) == 7


async def test_nobody_there_is_given_up_after_linger(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Push(linger=5.0) as push:
        push.connect("inproc://nobody-ever")
        for message in numbered(3):
            await push.send(message)
        async with push.monitor() as events:
            before = trio.current_time()
            await push.aclose()
            assert trio.current_time() - before == pytest.approx(5.0)
            dropped = await next_event(events, mq.Dropped)
    assert dropped.count == 3
    assert dropped.endpoint == "inproc://nobody-ever"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "Push closed and dropped 3 unsent messages for inproc://nobody-ever" in record.getMessage()
    assert "linger" in record.getMessage()


async def test_a_peer_that_takes_nothing_is_given_up_and_named(
    wire_endpoint: str, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Pull(receive_hwm=1) as pull:
        address = pull.bind(wire_endpoint)
        async with mq.Push(send_hwm=5, linger=0.05) as push:
            push.connect(address)
            await push.wait_connected()
            sent = await fill(push, HUGE)
            peer = push.statistics().peers[0].peer
        dropped = sum(push.statistics().dropped.values())
        assert 0 < dropped <= sent
        assert re.search(rf"dropped {dropped} unsent messages? for {re.escape(peer)}: ", caplog.text)
        assert await receive_all(pull, sent - dropped) == [HUGE] * (sent - dropped)
        await until(lambda: not pull.statistics().peers)
        with pytest.raises(trio.WouldBlock):
            pull.receive_nowait()


async def test_what_was_flushed_is_not_reported(
    endpoint: str, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with mq.Pull() as pull:
        address = pull.bind(endpoint)
        async with mq.Push() as push:
            push.connect(address)
            for message in numbered(100):
                await push.send(message)
        assert await receive_all(pull, 100) == numbered(100)
        assert not push.statistics().dropped
    assert not caplog.records


async def test_leaving_by_an_exception_drops_at_once(
    endpoint: str, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    address = await reserved(endpoint)
    caplog.set_level(logging.INFO, "mq")
    push = mq.Push(linger=math.inf)
    with pytest.raises(KeyError):  # noqa: PT012 - the block is what is tested
        async with push:
            push.connect(address)
            await push.send(b"never sent")
            raise KeyError
    assert sum(push.statistics().dropped.values()) == 1
    assert "dropped 1 unsent message for" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


async def test_leaving_by_cancellation_drops_at_once(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    with trio.CancelScope() as scope:
        async with mq.Push(linger=math.inf) as push:
            push.connect(address)
            await push.send(b"never sent")
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert sum(push.statistics().dropped.values()) == 1


async def test_an_outer_cancellation_ends_a_lingering_exit_at_once(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    left = False
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def linger() -> None:
            nonlocal left
            async with mq.Push(linger=math.inf) as push:
                push.connect(address)
                await push.send(b"never sent")
                left = True
            raise AssertionError("nobody was there to send to")

        await wait_all_tasks_blocked()
        assert left
        nursery.cancel_scope.cancel()


async def test_aclose_when_cancelled_still_closes(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Push(linger=math.inf) as push:
        push.connect(address)
        await push.send(b"never sent")
        with trio.CancelScope() as scope:
            scope.cancel()
            await push.aclose()
        assert scope.cancelled_caught
        with pytest.raises(trio.ClosedResourceError):
            push.send_nowait(b"closed")


async def test_two_tasks_close_together_and_both_wait_for_the_flush(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    closed: list[int] = []
    async with mq.Push(linger=math.inf) as push, trio.open_nursery() as nursery:
        push.connect(address)
        await push.send(b"hello")

        async def close(number: int) -> None:
            await push.aclose()
            closed.append(number)

        nursery.start_soon(close, 1)
        nursery.start_soon(close, 2)
        await wait_all_tasks_blocked()
        assert not closed
        async with mq.Pull() as pull:
            pull.bind(address)
            assert await pull.receive() == b"hello"
            await until(lambda: len(closed) == 2)


async def test_inproc_messages_that_the_binder_left_unread_go_to_the_next_binder(deadline: None) -> None:
    async with mq.Push() as push:
        push.connect("inproc://inherited")
        async with mq.Pull() as first:
            first.bind("inproc://inherited")
            for message in numbered(10):
                await push.send(message)
            assert await receive_all(first, 4) == numbered(10)[:4]
        async with mq.Pull() as second:
            second.bind("inproc://inherited")
            assert await receive_all(second, 6) == numbered(10)[4:]


async def test_a_disconnect_flushes_in_the_background(wire_endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(receive_hwm=1), mq.Push(send_hwm=5), wire_endpoint) as (pull, push):
        sent = await fill(push, LARGE)
        push.disconnect(push.statistics().peers[0].endpoint)
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"nobody is left to send to")
        assert await receive_all(pull, sent) == [LARGE] * sent
        await until(lambda: not push.statistics().peers)
        assert not push.statistics().dropped
