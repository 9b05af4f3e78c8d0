"""Do publishers and subscribers in several threads of one process work as in one?"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Awaitable, Callable

import pytest
import trio

import mq

from ..conftest import until
from ..links.test_inproc_threads import hurry, together, wait_for
from .meeting import numbered, receive_until

__all__ = ["hurry"]

_names = itertools.count()


@pytest.fixture
def name() -> str:
    """An endpoint that nobody has had before."""
    return f"inproc://pubsub-threads-{next(_names)}"


@pytest.mark.parametrize("binder", ["publisher", "subscriber"])
@pytest.mark.usefixtures("hurry")
def test_a_publisher_that_waits_for_room_loses_nothing_on_the_way_to_another_thread(name: str, binder: str) -> None:
    count = 3000
    bound = threading.Event()

    async def join(socket: mq.Socket, binds: bool) -> None:
        if binds:
            socket.bind(name)
            bound.set()
        else:
            await wait_for(bound)
            socket.connect(name)

    async def publish() -> None:
        async with mq.Pub(xpub_nodrop=True, send_hwm=7) as pub:
            await join(pub, binder == "publisher")
            await pub.wait_subscribed(b"end")
            for number in numbered(count):
                await pub.send(b"x" + number)
                await pub.send_multipart([b"y" + number, b""])
                await pub.send(b"z" + number)
            await pub.send(b"end")

    async def subscribe() -> None:
        async with mq.Sub(receive_hwm=7) as sub:
            for topic in (b"x", b"y", b"end"):
                sub.subscribe(topic)
            await join(sub, binder == "subscriber")
            for number in numbered(count):
                assert await sub.receive() == b"x" + number
                assert await sub.receive_multipart() == [b"y" + number, b""]
            assert await sub.receive() == b"end"

    together(publish, subscribe)


@pytest.mark.usefixtures("hurry")
def test_a_subscriber_hears_publishers_in_many_threads(name: str) -> None:
    threads, each = 5, 300
    bound = threading.Event()

    async def subscribe() -> None:
        async with mq.Sub() as sub:
            sub.subscribe(b"")
            sub.bind(name)
            bound.set()
            got = [await sub.receive() for _ in range(threads * each)]
        for thread in range(threads):
            mine = [message for message in got if message.startswith(b"%d:" % thread)]
            assert mine == [b"%d:%d" % (thread, number) for number in range(each)]

    def publisher(thread: int) -> Callable[[], Awaitable[None]]:
        async def publish() -> None:
            await wait_for(bound)
            async with mq.Pub() as pub:
                pub.connect(name)
                await pub.wait_subscribed()
                for number in range(each):
                    await pub.send(b"%d:%d" % (thread, number))

        return publish

    together(subscribe, *(publisher(thread) for thread in range(threads)))


@pytest.mark.usefixtures("hurry")
def test_subscribers_in_other_threads_come_and_go_while_it_is_published(name: str) -> None:
    turns = 30
    bound, done = threading.Event(), threading.Event()

    async def publish() -> None:
        async with mq.Pub() as pub:
            pub.bind(name)
            bound.set()
            while not done.is_set():
                for message in (b"a", b"b", b"c"):
                    await pub.send(message)
                await trio.lowlevel.checkpoint()
            await until(lambda: not pub.statistics().peers)
            assert pub.topics_count == 0

    async def subscribe() -> None:
        await wait_for(bound)
        for _ in range(turns):
            async with mq.Sub() as sub:
                sub.connect(name)
                for topic in (b"a", b"b"):
                    sub.subscribe(topic)
                    while await sub.receive() != topic:
                        pass
                    sub.unsubscribe(topic)

    async def all_subscribers() -> None:
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(subscribe)
        finally:
            done.set()

    together(publish, all_subscribers)


@pytest.mark.usefixtures("hurry")
def test_each_publisher_that_takes_a_name_over_hears_what_is_subscribed_to(name: str) -> None:
    turns = 20
    heard = [threading.Event() for _ in range(turns)]

    async def publish() -> None:
        for turn in range(turns):
            async with mq.XPub() as xpub:
                xpub.bind(name)
                requests = [await xpub.receive() for _ in range(2)]
                assert requests == [b"\1a", b"\1b"]
                await xpub.send(b"a%d" % turn)
                await wait_for(heard[turn])

    async def subscribe() -> None:
        async with mq.Sub() as sub:
            for topic in (b"a", b"b"):
                sub.subscribe(topic)
            sub.connect(name)
            for turn in range(turns):
                assert await sub.receive() == b"a%d" % turn
                heard[turn].set()

    together(publish, subscribe)


@pytest.mark.parametrize("conflates", ["publisher", "subscriber", "both"])
@pytest.mark.usefixtures("hurry")
def test_the_newest_reaches_another_thread(name: str, conflates: str) -> None:
    count = 20_000
    bound = threading.Event()

    async def publish() -> None:
        async with mq.Pub(conflate=conflates != "subscriber", send_hwm=0) as pub:
            pub.bind(name)
            bound.set()
            await pub.wait_subscribed()
            for number in numbered(count):
                await pub.send(number)
            await until(lambda: not pub.statistics().peers)

    async def subscribe() -> None:
        await wait_for(bound)
        async with mq.Sub(conflate=conflates != "publisher", receive_hwm=0) as sub:
            sub.subscribe(b"")
            sub.connect(name)
            got = await receive_until(sub, b"%d" % (count - 1))
        assert list(map(int, got)) == sorted(map(int, got))

    together(publish, subscribe)


@pytest.mark.usefixtures("hurry")
def test_the_newest_of_a_push_reaches_a_pull_in_another_thread(name: str) -> None:
    count = 20_000
    bound = threading.Event()

    async def send() -> None:
        async with mq.Push(conflate=True) as push:
            push.bind(name)
            bound.set()
            await push.wait_connected()
            for number in numbered(count):
                await push.send(number)
            await until(lambda: not push.statistics().peers)

    async def receive() -> None:
        await wait_for(bound)
        async with mq.Pull() as pull:
            pull.connect(name)
            got = await receive_until(pull, b"%d" % (count - 1))
        assert list(map(int, got)) == sorted(map(int, got))

    together(send, receive)


@pytest.mark.usefixtures("hurry")
def test_subscriptions_and_messages_go_upstream_to_another_thread_in_order(name: str) -> None:
    count = 2000
    bound = threading.Event()

    async def publish() -> None:
        async with mq.XPub(xpub_verboser=True, receive_hwm=10) as xpub:
            xpub.bind(name)
            bound.set()
            for number in numbered(count):
                for start in (b"\1", b"user ", b"\0"):
                    assert await xpub.receive() == start + number
            assert xpub.topics_count == 0

    async def subscribe() -> None:
        await wait_for(bound)
        async with mq.XSub(send_hwm=0) as xsub:
            xsub.connect(name)
            await xsub.wait_connected()
            for number in numbered(count):
                for start in (b"\1", b"user ", b"\0"):
                    await xsub.send(start + number)

    together(publish, subscribe)
