"""May a task block its thread? Only while no other task of its run could run."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mq.transports.alone import Blocker, blocker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every wait goes through Trio")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield two connected sockets."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


async def let_others_run() -> None:
    """Return when every task that was runnable has run, in any order of Trio."""
    for _ in range(3):
        await trio.lowlevel.checkpoint()


async def test_a_lone_task_blocks_until_something_comes(pair: Pair) -> None:
    ours, theirs = pair
    block = blocker(ours)
    await let_others_run()
    threading.Timer(0.01, theirs.send, [b"m"]).start()
    assert block(), "Trio's private names have changed: mq/transports/alone.py has to follow"
    assert ours.recv(10) == b"m"


async def test_a_lone_task_need_not_have_had_a_turn_of_its_own_for_each_wait(pair: Pair) -> None:
    ours, theirs = pair
    block = blocker(ours)
    await let_others_run()
    for _ in range(3):
        theirs.send(b"m")
        assert block()
        ours.recv(10)


class Glancing(Blocker):
    """A blocker that counts its glances."""

    __slots__ = ("glances",)

    def _glance(self) -> list[tuple[int, int]]:
        self.glances += 1
        return super()._glance()


async def test_glances_in_vain_become_rare(pair: Pair) -> None:
    ours, theirs = pair
    known = blocker(ours)
    blocking = Glancing(known.__self__._solitude, ours)  # type: ignore[attr-defined]
    blocking.glances = 0
    await let_others_run()
    for _ in range(20):  # a deadline in the near future ends each wait: nothing comes in the time of a glance
        with trio.CancelScope(deadline=trio.current_time() + 0.002):  # noqa: ASYNC100 - the wait is not Trio's
            assert not blocking.block()
    assert blocking.glances == 4  # at the waits 1, 3, 7 and 15
    theirs.send(b"m")
    assert blocking.block(), "what is there is seen without a glance"


async def nothing() -> None:
    """Run as a task that is runnable."""


async def test_a_task_that_was_just_started_is_let_run(pair: Pair, nursery: trio.Nursery) -> None:
    ours, theirs = pair
    block = blocker(ours)
    await let_others_run()
    theirs.send(b"m")
    assert block()
    nursery.start_soon(nothing)
    assert not block()


@pytest.mark.parametrize("others", [1, 5])
async def test_a_task_that_waits_for_its_turn_in_the_same_pass_is_let_run(pair: Pair, others: int) -> None:
    ours, theirs = pair
    block = blocker(ours)
    theirs.send(b"m")
    left = set(range(others))
    gate = trio.Event()

    async def other(number: int) -> None:
        await gate.wait()
        left.remove(number)

    async with trio.open_nursery() as nursery:
        for number in range(others):
            nursery.start_soon(other, number)
        await wait_all_tasks_blocked()
        for _ in range(20):  # Trio takes the tasks of a pass in any order
            gate.set()
            await trio.lowlevel.checkpoint()
            assert block() is (not left)


async def test_a_cancelled_task_goes_through_trio(pair: Pair) -> None:
    ours, theirs = pair
    block = blocker(ours)
    await let_others_run()
    theirs.send(b"m")
    with trio.CancelScope() as scope:  # noqa: ASYNC100 - the wait is not Trio's
        assert block()
        scope.cancel()
        assert not block()


async def test_a_passed_deadline_is_for_trio_to_see(pair: Pair) -> None:
    ours, theirs = pair
    block = blocker(ours)
    await let_others_run()
    theirs.send(b"m")
    with trio.CancelScope(deadline=trio.current_time() - 1):  # noqa: ASYNC100 - the wait is not Trio's
        assert not block()
    assert block()


async def in_time(task_status: trio.TaskStatus[None]) -> None:
    with trio.move_on_after(0.01):
        task_status.started()
        await trio.sleep_forever()


async def in_a_thread(task_status: trio.TaskStatus[None]) -> None:
    task_status.started()
    await trio.to_thread.run_sync(nobody.wait, 0.01)


async def for_bytes(task_status: trio.TaskStatus[None]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Timer(0.01, theirs.send, [b"m"]).start()
        task_status.started()
        await trio.lowlevel.wait_readable(ours)


nobody = threading.Event()
"""An event that is never set."""


@pytest.mark.parametrize("wait", [in_time, in_a_thread, for_bytes])
async def test_a_block_ends_when_another_task_can_go_on(
    pair: Pair, nursery: trio.Nursery, wait: Callable[..., Awaitable[None]]
) -> None:
    block = blocker(pair[0])
    await nursery.start(wait)
    await wait_all_tasks_blocked()
    await let_others_run()
    while nursery.child_tasks:
        assert not block()
        await trio.lowlevel.checkpoint()


async def test_a_block_ends_when_another_thread_calls(pair: Pair) -> None:
    block = blocker(pair[0])
    called = []
    await let_others_run()
    threading.Timer(0.01, trio.lowlevel.current_trio_token().run_sync_soon, [called.append, 1]).start()
    assert not block()
    await let_others_run()
    assert called


def test_ctrl_c_ends_a_block(pair: Pair) -> None:
    block = blocker(pair[0])

    async def main() -> None:
        block = blocker(pair[0])
        await let_others_run()
        threading.Timer(0.01, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()
        block()
        await trio.sleep(10)

    assert not block()
    with pytest.raises(KeyboardInterrupt):
        trio.run(main)


def test_a_run_with_an_instrument_sees_every_wait(pair: Pair) -> None:
    class Watching(trio.abc.Instrument):
        """An instrument, for example one that measures the duration of steps."""

    async def main() -> bool:
        block = blocker(pair[0])
        await let_others_run()
        return block()

    pair[1].send(b"m")
    assert not trio.run(main, instruments=[Watching()])
    assert trio.run(main)


def test_a_run_with_a_clock_of_its_own_is_left_alone(pair: Pair) -> None:
    async def main() -> bool:
        block = blocker(pair[0])
        await let_others_run()
        return block()

    pair[1].send(b"m")
    assert not trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_task_that_waits_until_all_are_blocked_is_not_kept_waiting(pair: Pair, nursery: trio.Nursery) -> None:
    block = blocker(pair[0])
    quiet = trio.Event()

    async def wait_for_quiet() -> None:
        await wait_all_tasks_blocked()
        quiet.set()

    nursery.start_soon(wait_for_quiet)
    await let_others_run()
    assert not block()
    await quiet.wait()


async def test_a_crowd_of_tasks_is_not_searched(pair: Pair) -> None:
    ours, theirs = pair
    block = blocker(ours)
    theirs.send(b"m")
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(trio.sleep_forever)
        await wait_all_tasks_blocked()
        await let_others_run()
        assert not block()
        nursery.cancel_scope.cancel()
    await let_others_run()
    assert block()


def test_in_guest_mode_the_host_goes_on(pair: Pair) -> None:
    results: list[bool] = []
    calls: list[Callable[[], object]] = []
    wake = threading.Semaphore(0)
    done = threading.Event()

    def soon(call: Callable[[], object]) -> None:
        calls.append(call)
        wake.release()

    async def main() -> None:
        block = blocker(pair[0])
        await let_others_run()
        results.append(block())

    pair[1].send(b"m")
    trio.lowlevel.start_guest_run(main, run_sync_soon_threadsafe=soon, done_callback=lambda _: done.set())
    while not done.is_set():
        assert wake.acquire(timeout=5)
        calls.pop(0)()
    assert results == [False]
