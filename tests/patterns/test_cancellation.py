"""What does a cancelled call leave behind? Nothing: no message lost, none doubled, none half sent."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import married
from .meeting import HUGE, fill, numbered, receive_all

TURN = 256
"""Messages after which a loop that never has to wait lets other tasks run."""


async def test_cancelled_receives_lose_no_message(endpoint: str, deadline: None) -> None:
    total = 3000
    chance = random.Random(7)
    got: list[bytes] = []
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def stream() -> None:
            for message in numbered(total):
                await push.send(message)
                for _ in range(chance.choice((0, 0, 0, 1, 3))):
                    await trio.lowlevel.checkpoint()

        while len(got) < total:
            with trio.CancelScope() as scope:
                nursery.start_soon(_cancel_after, scope, chance.randrange(6))
                while len(got) < total:
                    got.append(await pull.receive())
    assert got == numbered(total)


async def test_cancelled_receives_of_several_tasks_lose_no_message(endpoint: str, deadline: None) -> None:
    total = 2000
    chance = random.Random(11)
    got: list[bytes] = []
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push), trio.open_nursery() as nursery:

        async def take() -> None:
            while True:
                with trio.CancelScope() as scope:
                    nursery.start_soon(_cancel_after, scope, chance.randrange(6))
                    while True:
                        got.append((await pull.receive_multipart())[0])
                        if len(got) == total:
                            nursery.cancel_scope.cancel()

        for _ in range(4):
            nursery.start_soon(take)
        for message in numbered(total):
            await push.send(message)
            if chance.random() < 0.3:
                await trio.lowlevel.checkpoint()
        await trio.sleep_forever()
    assert sorted(got) == sorted(numbered(total))


async def test_a_send_that_was_cancelled_sent_nothing_and_one_that_returned_did(
    endpoint: str, deadline: None
) -> None:
    chance = random.Random(13)
    returned: list[bytes] = []
    got: list[bytes] = []
    pair = married(mq.Pull(receive_hwm=2), mq.Push(send_hwm=2), endpoint)
    async with pair as (pull, push), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def take() -> None:
            while True:
                got.append((await pull.receive_multipart())[0])
                if got[-1] == b"end":
                    return
                for _ in range(chance.randrange(4)):
                    await trio.lowlevel.checkpoint()

        cancelled = 0
        for message in numbered(1500):
            with trio.CancelScope() as scope:
                nursery.start_soon(_cancel_after, scope, chance.randrange(4))
                await push.send_multipart([message, bytes(30_000)])
                returned.append(message)
            cancelled += scope.cancelled_caught
        await push.send_multipart([b"end", b""])
    assert got == [*returned, b"end"]
    assert len(returned) + cancelled == 1500


async def _cancel_after(scope: trio.CancelScope, ticks: int) -> None:
    for _ in range(ticks):
        await trio.lowlevel.checkpoint()
    scope.cancel()


async def test_a_cancelled_sender_leaves_its_place_to_the_others(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(receive_hwm=1), mq.Push(send_hwm=1), endpoint) as (pull, push):
        sent = await fill(push, HUGE)
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as doomed:
                    for _ in range(5):
                        doomed.start_soon(push.send, b"cancelled")
                    await wait_all_tasks_blocked()
                    nursery.start_soon(push.send, b"patient")
                    await wait_all_tasks_blocked()
                    scope.cancel()
            assert await receive_all(pull, sent) == [HUGE] * sent
            assert await pull.receive() == b"patient"
        with pytest.raises(trio.WouldBlock):
            pull.receive_nowait()


async def _send(push: mq.Push, pull: mq.Pull) -> None:
    await push.send(b"")


async def _send_multipart(push: mq.Push, pull: mq.Pull) -> None:
    await push.send_multipart([b"", b""])


async def _send_both_ways(push: mq.Push, pull: mq.Pull) -> None:
    await push.send(b"")
    push.send_nowait(b"")


async def _receive(push: mq.Push, pull: mq.Pull) -> None:
    await pull.receive()


async def _receive_multipart(push: mq.Push, pull: mq.Pull) -> None:
    await pull.receive_multipart()


async def _receive_both_ways(push: mq.Push, pull: mq.Pull) -> None:
    await pull.receive()
    pull.receive_nowait()


Step = Callable[[mq.Push, mq.Pull], Awaitable[None]]
STEPS = (_send, _send_multipart, _send_both_ways, _receive, _receive_multipart, _receive_both_ways)
LOOPS = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__.strip("_"))


@LOOPS
async def test_a_loop_that_never_has_to_wait_lets_other_tasks_run(step: Step, deadline: None) -> None:
    steps = TURN * 20
    turns = 0
    async with married(mq.Pull(receive_hwm=0), mq.Push(send_hwm=0), "inproc://endless") as (pull, push):
        for _ in range(2 * steps):
            push.send_nowait(b"")
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def count() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await trio.lowlevel.checkpoint()

            for _ in range(steps):
                await step(push, pull)
            nursery.cancel_scope.cancel()
    assert turns > steps // TURN // 2


@LOOPS
async def test_a_loop_that_never_has_to_wait_is_cancelled_within_a_turn(step: Step, deadline: None) -> None:
    done = 0
    async with married(mq.Pull(receive_hwm=0), mq.Push(send_hwm=0), "inproc://endless") as (pull, push):
        for _ in range(TURN * 4):
            push.send_nowait(b"")
        with trio.CancelScope() as scope:
            scope.cancel()
            while done <= TURN:
                await step(push, pull)
                done += 1
    assert scope.cancelled_caught
    assert done <= TURN
