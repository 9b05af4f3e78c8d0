"""How much goes between us and the kernel at once? As much as the options allow, and what comes is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import trio

import mq

from ..conftest import married, until
from ..protocols.wire import frame
from .raw import raw_peer


class Steps(trio.abc.Instrument):
    """How much a number grows in each step of a task."""

    def __init__(self, number: Callable[[], int]) -> None:
        self._number = number
        self._before = number()
        self.growth: list[int] = []

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        now = self._number()
        if now != self._before:
            self.growth.append(now - self._before)
            self._before = now


@contextmanager
def steps_of(number: Callable[[], int]) -> Iterator[Steps]:
    steps = Steps(number)
    trio.lowlevel.add_instrument(steps)
    yield steps
    trio.lowlevel.remove_instrument(steps)


@pytest.mark.parametrize(("options", "most"), [({"read_size": 100}, 100), ({"read_size": 1}, 1), ({}, 256 * 1024)])
async def test_a_read_asks_for_no_more_than_its_size(
    wire_endpoint: str, options: dict[str, int], most: int, deadline: None
) -> None:
    async with mq.Pull(receive_hwm=0, **options) as pull, raw_peer(pull.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PUSH")
        await pull.wait_connected()
        said = b"".join(frame(b"%d" % number) for number in range(500))
        with steps_of(lambda: pull.statistics().bytes_in) as steps:
            await raw.say(said)
            await until(lambda: sum(steps.growth) == len(said))
        assert max(steps.growth) == min(most, len(said))
        for number in range(500):
            assert await pull.receive() == b"%d" % number


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
async def test_messages_of_all_sizes_come_whole_by_reads_of_any_size(
    wire_endpoint: str, size: int, deadline: None
) -> None:
    sent = [bytes([number]) * length for number, length in enumerate([0, 1, 255, 256, 5000, 40_000, 300_000])]
    async with married(mq.Pair(read_size=size), mq.Pair(read_size=size), wire_endpoint) as (one, other):
        for body in sent[: 5 if size == 1 else None]:
            await one.send_multipart([body, b"tail"])
            assert await other.receive_multipart() == [body, b"tail"]


@pytest.mark.parametrize(("options", "most"), [({"write_batch": 10}, 10), ({"write_batch": 1}, 1), ({}, 1024)])
async def test_no_more_messages_than_a_batch_are_written_together(
    wire_endpoint: str, options: dict[str, int], most: int, deadline: None
) -> None:
    count = 3000
    async with married(mq.Pull(receive_hwm=0), mq.Push(send_hwm=0, **options), wire_endpoint) as (pull, push):
        with steps_of(lambda: push.statistics().peers[0].messages_out) as steps:
            for number in range(count):
                push.send_nowait(b"%d" % number)
            await until(lambda: push.statistics().peers[0].messages_out == count)
        assert max(steps.growth) == most
        for number in range(count):
            assert await pull.receive() == b"%d" % number
