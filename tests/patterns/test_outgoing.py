"""Who gets the next message? Turns, full peers, limits, and queues for endpoints that are not connected yet."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, until
from .meeting import HUGE, another, fill, numbered, receive_all, reserved


async def test_connected_peers_get_messages_in_turn(endpoint: str, deadline: None) -> None:
    async with AsyncExitStack() as stack:
        push = await stack.enter_async_context(mq.Push())
        address = push.bind(endpoint)
        pulls = [await stack.enter_async_context(mq.Pull()) for _ in range(3)]
        for pull in pulls:
            pull.connect(address)
        await push.wait_connected(3)
        for message in numbered(30):
            await push.send(message)
        shares = [await receive_all(pull, 10) for pull in pulls]
        assert sorted(shares) == sorted(numbered(30)[first::3] for first in range(3))


async def test_endpoints_connected_to_get_messages_in_turn(endpoint: str, deadline: None) -> None:
    async with mq.Push() as push, mq.Pull() as one, mq.Pull() as two:
        push.connect(one.bind(endpoint))
        push.connect(two.bind(another(endpoint)))
        await push.wait_connected(2)
        for message in numbered(10):
            push.send_nowait(message)
        shares = [await receive_all(pull, 5) for pull in (one, two)]
        assert sorted(shares) == [numbered(10)[0::2], numbered(10)[1::2]]


async def test_a_full_peer_is_skipped_not_waited_for(endpoint: str, deadline: None) -> None:
    total = 200
    async with mq.Push(send_hwm=2) as push, mq.Pull(receive_hwm=2) as idle, mq.Pull(receive_hwm=2) as busy:
        address = push.bind(endpoint)
        idle.connect(address)
        busy.connect(address)
        await push.wait_connected(2)
        done: list[bytes] = []
        late: list[bytes] = []

        async def work(pull: mq.Pull, results: list[bytes]) -> None:
            while True:
                results.append((await pull.receive_multipart())[0])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, busy, done)
            for message in numbered(total):
                await push.send_multipart([message, bytes(256 * 1024)])
            nursery.start_soon(work, idle, late)
            await until(lambda: len(done) + len(late) == total)
            nursery.cancel_scope.cancel()
        assert sorted(done + late) == sorted(numbered(total))
        assert len(late) < total // 2


@pytest.mark.parametrize(("send_hwm", "receive_hwm"), [(1, 1), (3, 5), (10, 1), (1000, 1000)])
async def test_inproc_holds_exactly_the_sum_of_both_limits(send_hwm: int, receive_hwm: int, deadline: None) -> None:
    async with married(
        mq.Pull(receive_hwm=receive_hwm), mq.Push(send_hwm=send_hwm), "inproc://sum-of-limits"
    ) as (pull, push):
        room = send_hwm + receive_hwm
        for message in numbered(room):
            push.send_nowait(message)
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"one too many")
        assert await receive_all(pull, room) == numbered(room)


@pytest.mark.parametrize(("send_hwm", "receive_hwm"), [(0, 1), (1, 0), (0, 0)])
async def test_inproc_without_a_limit_on_one_side_has_none(send_hwm: int, receive_hwm: int, deadline: None) -> None:
    async with married(
        mq.Pull(receive_hwm=receive_hwm), mq.Push(send_hwm=send_hwm), "inproc://no-limit"
    ) as (pull, push):
        for message in numbered(5000):
            push.send_nowait(message)
        assert await receive_all(pull, 5000) == numbered(5000)


async def test_a_peer_that_reads_nothing_gets_a_bounded_number_of_messages(wire_endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(receive_hwm=3), mq.Push(send_hwm=3), wire_endpoint) as (pull, push):
        body = bytes(1024 * 1024)
        sent = await fill(push, body)
        assert 6 <= sent < 60
        assert await receive_all(pull, sent) == [body] * sent


async def test_an_endpoint_that_nobody_has_bound_holds_the_limit(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Push(send_hwm=7, linger=0) as push:
        push.connect(address)
        for message in numbered(7):
            await push.send(message)
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"one too many")


async def test_send_waits_at_the_limit_and_goes_on_when_the_peer_takes_messages(endpoint: str, deadline: None) -> None:
    body = bytes(128 * 1024)
    async with married(mq.Pull(receive_hwm=4), mq.Push(send_hwm=4), endpoint) as (pull, push):
        sent = await fill(push, body)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(push.send, b"last")
            await wait_all_tasks_blocked()
            assert await receive_all(pull, sent) == [body] * sent
        assert await pull.receive() == b"last"


async def test_all_of_several_waiting_senders_get_through(endpoint: str, deadline: None) -> None:
    senders, each = 8, 40
    async with married(mq.Pull(receive_hwm=2), mq.Push(send_hwm=3), endpoint) as (pull, push):

        async def stream(name: int) -> None:
            for number in range(each):
                await push.send_multipart([b"%d" % name, b"%d" % number, bytes(64 * 1024)])

        async with trio.open_nursery() as nursery:
            for name in range(senders):
                nursery.start_soon(stream, name)
            await wait_all_tasks_blocked()
            got = [await pull.receive_multipart() for _ in range(senders * each)]
        for name in range(senders):
            assert [frames[1] for frames in got if frames[0] == b"%d" % name] == numbered(each)


async def test_each_waiting_sender_goes_on_as_soon_as_there_is_room(endpoint: str, deadline: None) -> None:
    body = bytes(256 * 1024)
    async with married(mq.Pull(receive_hwm=1), mq.Push(send_hwm=10), endpoint) as (pull, push):
        sent = await fill(push, body)
        async with trio.open_nursery() as nursery:
            for message in numbered(9):
                nursery.start_soon(push.send, message)
            await wait_all_tasks_blocked()
            await receive_all(pull, sent)
        assert sorted(await receive_all(pull, 9)) == numbered(9)


async def test_messages_queue_for_an_absent_peer_only_while_no_other_is_there(endpoint: str, deadline: None) -> None:
    later = await reserved(endpoint)
    async with mq.Push() as push, mq.Pull() as there:
        push.connect(later)
        await push.send(b"before anybody was there")
        push.connect(there.bind(another(endpoint)))
        await push.wait_connected()
        for message in numbered(50):
            await push.send(message)
        assert await receive_all(there, 50) == numbered(50)
        async with mq.Pull() as late:
            late.bind(later)
            assert await late.receive() == b"before anybody was there"
            with pytest.raises(trio.WouldBlock):
                late.receive_nowait()


async def test_immediate_never_queues_for_an_unconnected_endpoint(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Push(immediate=True) as push:
        push.connect(address)
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"too early")
        async with mq.Pull() as pull, trio.open_nursery() as nursery:
            nursery.start_soon(push.send, b"in time")
            await wait_all_tasks_blocked()
            pull.bind(address)
            assert await pull.receive() == b"in time"


async def test_with_immediate_sending_waits_again_when_the_peer_has_gone(endpoint: str, deadline: None) -> None:
    async with mq.Push(immediate=True, reconnect_interval=0.01) as push:
        async with mq.Pull() as pull:
            address = pull.bind(endpoint)
            push.connect(address)
            await push.send(b"first")
            assert await pull.receive() == b"first"
        await until(lambda: not push.statistics().peers[0].connected)
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"too late")
        async with mq.Pull() as pull:
            pull.bind(address)
            await push.send(b"second")
            assert await pull.receive() == b"second"


async def test_a_socket_that_only_bound_waits_for_a_peer_before_it_sends(endpoint: str, deadline: None) -> None:
    async with mq.Push() as push, mq.Pull() as pull:
        address = push.bind(endpoint)
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"nobody is there")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(push.send, b"hello")
            await wait_all_tasks_blocked()
            pull.connect(address)
            assert await pull.receive() == b"hello"


async def test_unsent_messages_go_to_the_peer_that_comes_back(endpoint: str, deadline: None) -> None:
    address = await reserved(endpoint)
    async with mq.Push() as push:
        push.connect(address)
        async with mq.Pull() as first:
            first.bind(address)
            await push.send(b"first")
            assert await first.receive() == b"first"
        await until(lambda: not push.statistics().peers[0].connected)
        for message in numbered(100):
            await push.send(message)
        async with mq.Pull() as second:
            second.bind(address)
            assert await receive_all(second, 100) == numbered(100)
        assert push.statistics().reconnects == 1


async def test_what_waits_for_a_peer_that_had_connected_goes_with_it_and_is_counted(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Push(send_hwm=2) as push:
        address = push.bind(wire_endpoint)
        async with mq.Pull(receive_hwm=1) as first:
            first.connect(address)
            await push.wait_connected()
            sent = await fill(push, HUGE)
        await until(lambda: not push.statistics().peers)
        assert 2 <= sum(push.statistics().dropped.values()) <= sent
        with pytest.raises(trio.WouldBlock):
            push.send_nowait(b"nobody is there")
        async with mq.Pull() as second:
            second.connect(address)
            await push.send(b"for the second")
            assert await second.receive() == b"for the second"
