"""Whose message comes next? Turns among peers, waiting receivers, and what is left when a peer has gone."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married, until
from .meeting import numbered, receive_all


async def received_from_crowd(
    pull: mq.Pull, endpoint: str, stack: AsyncExitStack, peers: int, each: int
) -> list[list[bytes]]:
    """Have so many peers send messages, numbered for each; when all have come, receive them: name and number."""
    address = pull.bind(endpoint)
    for name in range(peers):
        push = await stack.enter_async_context(mq.Push())
        push.connect(address)
        await push.wait_connected()
        for number in range(each):
            await push.send(b"%d %d" % (name, number))
    await until(lambda: pull.statistics().queued_in == peers * each)
    return [message.split() for message in await receive_all(pull, peers * each)]


async def test_peers_with_a_backlog_are_received_from_in_exact_turn(endpoint: str, deadline: None) -> None:
    peers, each = 4, 25
    async with mq.Pull() as pull, AsyncExitStack() as stack:
        got = await received_from_crowd(pull, endpoint, stack, peers, each)
    order = [name for name, _ in got[:peers]]
    assert sorted(order) == numbered(peers)
    assert [name for name, _ in got] == order * each
    assert [number for _, number in got] == [number for number in numbered(each) for _ in range(peers)]


async def test_a_peer_with_little_to_say_waits_at_most_one_turn(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push() as talker, mq.Push() as other:
        address = pull.bind(endpoint)
        talker.connect(address)
        other.connect(address)
        await pull.wait_connected(2)
        for _ in range(500):
            await talker.send(b"talk")
        await other.send(b"word")
        await until(lambda: pull.statistics().queued_in == 501)
        assert b"word" in await receive_all(pull, 2)


@pytest.mark.parametrize(("peers", "in_a_row"), [(15, 1), (16, 2), (40, 3)])
async def test_in_a_crowd_each_has_a_few_received_in_its_turn(
    endpoint: str, peers: int, in_a_row: int, deadline: None
) -> None:
    each = 3 * in_a_row
    async with mq.Pull() as pull, AsyncExitStack() as stack:
        got = await received_from_crowd(pull, endpoint, stack, peers, each)
        assert pull.statistics().messages_in == peers * each
    for name in numbered(peers):
        assert [number for sender, number in got if sender == name] == numbered(each)
    turn = [sender for sender, _ in got[: peers * in_a_row]]
    assert turn == [sender for sender in turn[::in_a_row] for _ in range(in_a_row)]
    assert sorted(set(turn)) == sorted(numbered(peers))


async def test_every_waiting_receiver_gets_one_of_the_messages_that_come_together(
    endpoint: str, deadline: None
) -> None:
    receivers = 6
    got: list[bytes] = []
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push), trio.open_nursery() as nursery:

        async def take_one() -> None:
            got.append(await pull.receive())

        for _ in range(receivers):
            nursery.start_soon(take_one)
        await wait_all_tasks_blocked()
        for message in numbered(receivers):
            push.send_nowait(message)
        await until(lambda: len(got) == receivers)
    assert sorted(got) == numbered(receivers)


async def test_a_receiver_that_leaves_wakes_no_one_else_wrongly(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(pull.receive)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await push.send(b"for whoever stays")
        assert await pull.receive() == b"for whoever stays"


async def test_what_was_received_before_the_peer_left_stays_readable(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull:
        address = pull.bind(wire_endpoint)
        async with mq.Push() as push:
            push.connect(address)
            for message in numbered(100):
                await push.send(message)
        await until(lambda: not pull.statistics().peers and pull.statistics().messages_in == 0)
        assert await receive_all(pull, 100) == numbered(100)


async def test_what_an_inproc_peer_sent_before_it_left_stays_readable(deadline: None) -> None:
    async with mq.Pull() as pull:
        pull.bind("inproc://left-behind")
        async with mq.Push() as push:
            push.connect("inproc://left-behind")
            for message in numbered(100):
                await push.send(message)
        assert await receive_all(pull, 100) == numbered(100)


async def test_what_came_from_an_endpoint_stays_readable_after_disconnect(endpoint: str, deadline: None) -> None:
    async with mq.Push() as push, mq.Pull() as pull:
        address = push.bind(endpoint)
        pull.connect(address)
        for message in numbered(20):
            await push.send(message)
        await until(lambda: pull.statistics().queued_in == 20)
        pull.disconnect(address)
        await until(lambda: not push.statistics().peers)
        assert await receive_all(pull, 20) == numbered(20)


async def test_receive_nowait_takes_what_is_there_and_never_waits(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        with pytest.raises(trio.WouldBlock):
            pull.receive_nowait()
        with pytest.raises(trio.WouldBlock):
            pull.receive_multipart_nowait()
        await push.send(b"one")
        await push.send_multipart([b"two", b"frames"])
        await until(lambda: pull.statistics().queued_in == 2)
        assert pull.receive_nowait() == b"one"
        assert pull.receive_multipart_nowait() == [b"two", b"frames"]


async def test_a_full_inbox_goes_on_when_it_has_been_read(endpoint: str, deadline: None) -> None:
    pair = married(mq.Pull(receive_hwm=1), mq.Push(send_hwm=1), endpoint)
    async with pair as (pull, push), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def stream() -> None:
            for message in numbered(3000):
                await push.send(message)

        assert await receive_all(pull, 3000) == numbered(3000)
