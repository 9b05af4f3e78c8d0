"""Do two threads of one process, each with a Trio run of its own, talk through inproc as two tasks would?"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest
import trio
import trio.testing

import mq

from ..conftest import married, next_event, until

Main = Callable[[], Awaitable[None]]
_names = itertools.count()


@pytest.fixture
def name() -> str:
    """An endpoint that nobody has had before."""
    return f"inproc://threads-{next(_names)}"


@pytest.fixture(params=[None, 1e-5], ids=["", "hasty"])
def hurry(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have Python switch threads as it does by default, and very often."""
    before = sys.getswitchinterval()
    if request.param is not None:
        sys.setswitchinterval(request.param)
    yield
    sys.setswitchinterval(before)


def together(*mains: Main) -> None:
    """Run each of ``mains`` in a Trio run in a thread of its own, all at once, to their ends."""
    failures: list[BaseException] = []

    async def guarded(main: Main) -> None:
        with trio.fail_after(25):
            await main()

    def run(main: Main) -> None:
        try:
            trio.run(guarded, main)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=[main], daemon=True) for main in mains]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
        assert not thread.is_alive(), "a thread waits for something that does not come"
    if failures:
        raise BaseExceptionGroup("in threads", failures)


async def wait_for(event: threading.Event) -> None:
    """Wait without holding up this thread's run."""
    await until(event.is_set)


@pytest.mark.parametrize("first", ["bind", "connect"])
def test_either_side_may_come_first(name: str, first: str) -> None:
    there = threading.Event()

    async def binder() -> None:
        if first == "connect":
            await wait_for(there)
        async with mq.Pair() as pair:
            assert pair.bind(name) == name
            there.set()
            assert await pair.receive() == b"ping"
            await pair.send(b"pong")
            assert await pair.receive() == b"bye"

    async def connecter() -> None:
        if first == "bind":
            await wait_for(there)
        async with mq.Pair() as pair:
            pair.connect(name)
            await pair.send(b"ping")
            there.set()
            assert await pair.receive() == b"pong"
            await pair.send(b"bye")

    together(binder, connecter)


def test_what_is_sent_to_a_busy_thread_is_there_when_it_has_time(name: str) -> None:
    waiting, sent = threading.Event(), threading.Event()

    async def binder() -> None:
        async with mq.Pair() as pair:
            await wait_for(waiting)
            pair.bind(name)
            for number in range(100):
                await pair.send(b"%d" % number)
            sent.set()
            assert await pair.receive() == b"done"

    async def connecter() -> None:
        async def receive() -> None:
            for number in range(100):
                assert await pair.receive() == b"%d" % number
            await pair.send(b"done")

        async with mq.Pair() as pair, trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            pair.connect(name)
            await trio.testing.wait_all_tasks_blocked()
            waiting.set()
            sent.wait(20)  # the whole run stands still

    together(binder, connecter)


def test_a_sender_in_a_busy_thread_goes_on_when_there_is_room(name: str) -> None:
    full, emptied = threading.Event(), threading.Event()

    async def binder() -> None:
        await wait_for(full)
        async with mq.Pull() as pull:
            pull.bind(name)
            for number in range(10):
                assert await pull.receive() == b"%d" % number
            emptied.set()
            assert await pull.receive() == b"10"

    async def connecter() -> None:
        async with mq.Push(send_hwm=10) as push, trio.open_nursery() as nursery:
            push.connect(name)
            for number in range(10):
                await push.send(b"%d" % number)
            nursery.start_soon(push.send, b"10")
            await trio.testing.wait_all_tasks_blocked()
            full.set()
            emptied.wait(20)  # the whole run stands still

    together(binder, connecter)


async def test_a_wake_up_for_what_has_been_received_already_does_not_cost_the_next(name: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), name) as (pull, push):
        (pipe,) = pull._pipes
        pipe.inbox.wake()  # as a sender does that was held up between its message and this
        await push.send(b"next")
        assert await pull.receive() == b"next"


@pytest.mark.parametrize("hwm", [1, 2, 10, 1000])
@pytest.mark.usefixtures("hurry")
def test_many_messages_go_both_ways_whole_and_in_order(name: str, hwm: int) -> None:
    count = 2_000 * min(hwm, 10)

    async def talk(pair: mq.Pair) -> None:
        async def send() -> None:
            for number in range(count):
                await pair.send(b"%d" % number)

        async def receive() -> None:
            for number in range(count):
                assert await pair.receive() == b"%d" % number

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            nursery.start_soon(receive)

    async def binder() -> None:
        async with mq.Pair(send_hwm=hwm, receive_hwm=hwm) as pair:
            pair.bind(name)
            await talk(pair)
            await pair.send(b"end")
            assert await pair.receive() == b"end"

    async def connecter() -> None:
        async with mq.Pair(send_hwm=hwm, receive_hwm=hwm) as pair:
            pair.connect(name)
            await talk(pair)
            await pair.send(b"end")
            assert await pair.receive() == b"end"

    together(binder, connecter)


def test_a_hundred_thousand_messages_go_each_way_through_a_small_queue(name: str) -> None:
    count = 100_000

    async def send(pair: mq.Pair) -> None:
        for number in range(count):
            await pair.send(b"%d" % number)

    async def receive(pair: mq.Pair) -> None:
        for number in range(count):
            assert await pair.receive() == b"%d" % number

    async def side(join: Callable[[mq.Pair], object]) -> None:
        async with mq.Pair(send_hwm=20, receive_hwm=20) as pair:
            join(pair)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send, pair)
                nursery.start_soon(receive, pair)
            await pair.send(b"end")
            assert await pair.receive() == b"end"

    together(lambda: side(lambda pair: pair.bind(name)), lambda: side(lambda pair: pair.connect(name)))


def test_many_threads_push_to_one(name: str) -> None:
    threads, count = 8, 2000

    async def pull() -> None:
        async with mq.Pull(receive_hwm=5) as pull:
            pull.bind(name)
            expected = [0] * threads
            for _ in range(threads * count):
                thread, number = map(int, (await pull.receive()).split())
                assert number == expected[thread]
                expected[thread] += 1

    async def push(thread: int) -> None:
        async with mq.Push(send_hwm=5) as push:
            push.connect(name)
            for number in range(count):
                await push.send(b"%d %d" % (thread, number))

    together(pull, *[lambda thread=thread: push(thread) for thread in range(threads)])  # type: ignore[misc]


# -- ends --------------------------------------------------------------------------------------------------


def test_what_a_thread_sent_before_it_ended_is_received(name: str) -> None:
    ended = threading.Event()

    async def binder() -> None:
        async with mq.Pull() as pull:
            pull.bind(name)
            await wait_for(ended)
            for number in range(100):
                assert await pull.receive() == b"%d" % number

    async def connecter() -> None:
        try:
            async with mq.Push() as push:
                push.connect(name)
                await push.wait_connected()
                for number in range(100):
                    await push.send(b"%d" % number)
        finally:
            ended.set()

    together(binder, connecter)


def test_the_binding_side_stays_while_others_come_and_go(name: str) -> None:
    rounds = 30
    done = threading.Event()

    async def binder() -> None:
        async with mq.Pull() as pull:
            pull.bind(name)
            received = [await pull.receive() for _ in range(rounds * 10)]
            assert sorted(received) == sorted(b"%d %d" % (a, b) for a in range(rounds) for b in range(10))
            await until(lambda: not pull.statistics().peers)
            done.set()

    def push_from_new_threads() -> None:
        for turn in range(rounds):

            async def connecter(turn: int = turn) -> None:
                async with mq.Push() as push:
                    push.connect(name)
                    for number in range(10):
                        await push.send(b"%d %d" % (turn, number))

            together(connecter)

    async def pushing() -> None:
        await trio.to_thread.run_sync(push_from_new_threads)

    together(binder, pushing)
    assert done.is_set()


def test_the_connecting_side_stays_while_binders_come_and_go(name: str) -> None:
    rounds = 30
    gone = threading.Event()

    async def connecter() -> None:
        async with mq.Push() as push, push.monitor() as events:
            push.connect(name)
            for turn in range(rounds):
                await push.send(b"%d" % turn)
                await next_event(events, mq.Disconnected)
            assert push.statistics().dropped == {}
            gone.set()

    def bind_in_new_threads() -> None:
        for turn in range(rounds):

            async def binder(turn: int = turn) -> None:
                async with mq.Pull() as pull:
                    pull.bind(name)
                    assert await pull.receive() == b"%d" % turn

            together(binder)

    async def binding() -> None:
        await trio.to_thread.run_sync(bind_in_new_threads)

    together(connecter, binding)
    assert gone.is_set()


@pytest.mark.usefixtures("hurry")
def test_threads_that_end_while_others_join_leave_nobody_waiting(name: str) -> None:
    """Binders end in the very moment in which somebody connects; the next binder must find who is left."""
    rounds = 60
    received: list[bytes] = []
    enough = threading.Event()

    async def connecter() -> None:
        for turn in range(rounds):
            async with mq.Push(linger=20) as push:
                push.connect(name)
                await push.send(b"%d" % turn)
        enough.set()

    def bind_in_new_threads() -> None:
        while not enough.is_set():

            async def binder() -> None:
                async with mq.Pull() as pull:
                    pull.bind(name)
                    with trio.move_on_after(0.002):
                        received.append(await pull.receive())
                    while True:
                        try:
                            received.append(pull.receive_nowait())
                        except trio.WouldBlock:
                            break

            together(binder)

    async def binding() -> None:
        await trio.to_thread.run_sync(bind_in_new_threads)

    together(connecter, binding)
    assert received == sorted(set(received), key=int)
    assert set(received) <= {b"%d" % turn for turn in range(rounds)}


def test_a_thread_that_has_ended_is_no_peer_any_more(name: str) -> None:
    met, left = threading.Event(), threading.Event()

    async def binder() -> None:
        async with mq.Pair() as pair, pair.monitor() as events:
            pair.bind(name)
            await pair.wait_connected()
            met.set()
            event = await next_event(events, mq.Disconnected)
            assert "closed" in event.reason
            await wait_for(left)
            assert pair.statistics().peers == ()
            with pytest.raises(trio.WouldBlock):
                pair.send_nowait(b"to nobody")

    async def connecter() -> None:
        async with mq.Pair() as pair:
            pair.connect(name)
            await pair.wait_connected()
            await wait_for(met)
        left.set()

    together(binder, connecter)


def test_a_thread_that_left_before_a_busy_one_could_take_it_in_is_no_peer(name: str) -> None:
    bound = threading.Event()

    async def connect_and_leave() -> None:
        async with mq.Pair() as pair:
            pair.connect(name)
            await trio.testing.wait_all_tasks_blocked()

    async def binder() -> None:
        async with mq.Pair() as pair, pair.monitor() as events:
            pair.bind(name)
            leaver = threading.Thread(target=trio.run, args=[connect_and_leave])
            leaver.start()
            leaver.join(20)  # the whole run stands still
            await trio.testing.wait_all_tasks_blocked()
            assert not [peer for peer in pair.statistics().peers if peer.connected]
            bound.set()
            assert await pair.receive() == b"from one who stays"
            await pair.send(b"welcome")
            await next_event(events, mq.Disconnected)

    async def connecter() -> None:
        await wait_for(bound)
        async with mq.Pair() as pair:
            pair.connect(name)
            await pair.send(b"from one who stays")
            assert await pair.receive() == b"welcome"

    together(binder, connecter)


def test_a_crash_in_one_thread_is_the_end_of_a_peer_and_no_more(name: str) -> None:
    async def binder() -> None:
        async with mq.Pull() as pull, pull.monitor() as events:
            pull.bind(name)
            assert await pull.receive() == b"before"
            await next_event(events, mq.Disconnected)
            assert await pull.receive() == b"from another"

    async def connecter() -> None:
        with suppress(ZeroDivisionError):
            async with mq.Push() as push:
                push.connect(name)
                await push.wait_connected()
                await push.send(b"before")
                raise ZeroDivisionError
        async with mq.Push() as push:
            push.connect(name)
            await push.send(b"from another")

    together(binder, connecter)


def test_a_name_can_be_taken_by_one_thread_at_a_time(name: str) -> None:
    bound, tried = threading.Event(), threading.Event()

    async def first() -> None:
        async with mq.Pull() as pull:
            pull.bind(name)
            bound.set()
            await wait_for(tried)

    async def second() -> None:
        await wait_for(bound)
        async with mq.Pull() as pull:
            try:
                with pytest.raises(mq.BindError, match="another socket of this process"):
                    pull.bind(name)
            finally:
                tried.set()

    together(first, second)
