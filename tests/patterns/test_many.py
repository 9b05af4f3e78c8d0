"""Are many messages sent and received by one call as they would be one by one? In order, in full, in fair shares."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import mq

from ..conftest import Turns, married, until
from .meeting import numbered, subscribed

WAYS: dict[str, tuple[Any, Any]] = {
    "PUSH to PULL": (mq.Push, mq.Pull),
    "PAIR": (mq.Pair, mq.Pair),
    "DEALER": (mq.Dealer, mq.Dealer),
    "SCATTER to GATHER": (mq.Scatter, mq.Gather),
    "CHANNEL": (mq.Channel, mq.Channel),
}


async def receive_many(socket: Any, count: int) -> list[Any]:
    """Receive ``count`` messages, in lists."""
    received: list[Any] = []
    while len(received) < count:
        received += await socket.receive_many(count - len(received))
    return received


@pytest.mark.parametrize(("sender", "receiver"), WAYS.values(), ids=WAYS)
async def test_many_messages_arrive_in_order(sender: Any, receiver: Any, endpoint: str, deadline: None) -> None:
    messages = numbered(5000)
    async with married(receiver(), sender(), endpoint) as (sink, source), trio.open_nursery() as nursery:
        nursery.start_soon(source.send_many, messages)
        assert await receive_many(sink, 5000) == messages
        await until(lambda: source.statistics().messages_out == 5000)
        assert sink.statistics().messages_in == 5000


async def test_batches_are_lists_of_what_is_there(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        await push.send_many(numbered(7))
        await until(lambda: pull.statistics().queued_in == 7)
        batches = pull.batches(most=5)
        assert await anext(batches) == numbered(7)[:5]
        assert await anext(batches) == numbered(7)[5:]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(push.send, b"one more")
            async for batch in batches:
                assert batch == [b"one more"]
                break


async def test_lists_and_single_calls_may_take_turns(endpoint: str, deadline: None) -> None:
    async with married(mq.Pair(), mq.Pair(), endpoint) as (sink, source):
        await source.send(b"0")
        await source.send_many(numbered(10)[1:4])
        for number in range(4, 8):
            await source.send(b"%d" % number)
        await source.send_many(numbered(10)[8:])
        await until(lambda: sink.statistics().queued_in == 10)
        received = [await sink.receive(), await sink.receive(), *await sink.receive_many(3), await sink.receive()]
        assert [*received, *await sink.receive_many()] == numbered(10)


async def test_messages_of_several_frames_travel_in_lists_too(endpoint: str, deadline: None) -> None:
    messages = [[b"a", b"b"], [b"c"], (b"d", bytearray(b"e"), memoryview(b"f"))]
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        await push.send_many_multipart(messages)
        await until(lambda: pull.statistics().queued_in == 3)
        assert await pull.receive_many_multipart() == [[b"a", b"b"], [b"c"], [b"d", b"e", b"f"]]


async def test_a_message_of_several_frames_ends_a_list_and_loses_nothing(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        await push.send_many_multipart([[b"1"], [b"2"], [b"3", b"4"], [b"5"]])
        await until(lambda: pull.statistics().queued_in == 4)
        assert await pull.receive_many() == [b"1", b"2"]
        with pytest.raises(mq.MultipartMessage) as caught:
            await pull.receive_many()
        assert caught.value.frames == [b"3", b"4"]
        assert await pull.receive_many() == [b"5"]


async def test_a_router_receives_many_with_the_names_of_their_senders(endpoint: str, deadline: None) -> None:
    async with married(mq.Router(), mq.Dealer(routing_id=b"ann"), endpoint) as (router, dealer):
        await dealer.send_many_multipart([[b"1"], [b"2", b"3"]])
        await until(lambda: router.statistics().queued_in == 2)
        assert await router.receive_many_multipart() == [[b"ann", b"1"], [b"ann", b"2", b"3"]]


async def test_types_that_receive_pairs_receive_many_of_them(endpoint: str, deadline: None) -> None:
    async with married(mq.Server(), mq.Client(), endpoint) as (server, client):
        await client.send_many(numbered(3))
        await until(lambda: server.statistics().queued_in == 3)
        [batch] = [batch async for batch in _first(server.batches())]
        assert [body for _, body in batch] == numbered(3)
        assert len({routing_id for routing_id, _ in batch}) == 1


async def _first(batches: Any) -> AsyncIterator[Any]:
    yield await anext(batches)


# -- waiting, and what a cancellation leaves ------------------------------------------------------------------


async def test_cancelled_it_has_taken_as_many_as_it_sent(endpoint: str, deadline: None) -> None:
    count = 1000
    messages = [number + bytes(50_000) for number in numbered(count)]  # more than the kernel holds
    source = iter(messages)
    async with married(mq.Pull(receive_hwm=10), mq.Push(send_hwm=10), endpoint) as (pull, push):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(push.send_many, source)
            await wait_all_tasks_blocked(0.05)
            received = await receive_many(pull, 15)
            await wait_all_tasks_blocked(0.05)
            nursery.cancel_scope.cancel()
        left = list(source)
        assert left
        assert push.statistics().messages_out == count - len(left)
        received += await receive_many(pull, count - len(left) - 15)
        await push.send_many(left[:1])
        assert [*received, *await pull.receive_many()] == messages[: len(received) + 1]


@pytest.mark.parametrize("kind", [list, iter, tuple])
async def test_while_nobody_is_there_it_fills_the_queue_and_waits(kind: Any, deadline: None) -> None:
    messages = kind(numbered(30))
    async with mq.Push(send_hwm=20, linger=0) as push:
        push.connect("tcp://127.0.0.1:9")
        with trio.move_on_after(0.05) as scope:
            await push.send_many(messages)
        assert scope.cancelled_caught
        assert push.statistics().queued_out == 20


async def test_the_last_messages_may_fill_the_queue_exactly(deadline: None) -> None:
    async with mq.Push(send_hwm=20, linger=0) as push:
        push.connect("tcp://127.0.0.1:9")
        await push.send_many(b"m" for _ in range(20))
        assert push.statistics().queued_out == 20
        await push.send_many([])


async def test_an_iterator_of_unknown_length_may_fill_it_by_one_more(deadline: None) -> None:
    source = (message for message in numbered(30))
    async with mq.Push(send_hwm=20, linger=0) as push:
        push.connect("tcp://127.0.0.1:9")
        with trio.move_on_after(0.05):
            await push.send_many(source)
        assert push.statistics().queued_out == 21
        assert next(source) == b"21"


async def test_what_an_iterator_yields_before_it_fails_is_sent(endpoint: str, deadline: None) -> None:
    def failing() -> Iterator[bytes]:
        yield from numbered(3)
        raise KeyError("no more")

    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        with pytest.raises(KeyError, match="no more"):
            await push.send_many(failing())
        assert await receive_many(pull, 3) == numbered(3)


async def test_what_comes_before_an_object_that_is_no_message_is_sent(endpoint: str, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push):
        with pytest.raises(TypeError, match="a frame is bytes, got the str 'x'"):
            await push.send_many([b"0", bytearray(b"1"), "x", b"3"])
        with pytest.raises(TypeError, match=r"a frame is bytes, got a list"):
            await push.send_many([[b"frame"]])
        with pytest.raises(ValueError, match="at least one frame"):
            await push.send_many_multipart([[b"2"], []])
        assert await receive_many(pull, 3) == numbered(3)


@pytest.mark.parametrize("message", [b"bytes", bytearray(b"array"), "text"])
async def test_one_message_is_not_many(message: Any, deadline: None) -> None:
    async with mq.Push() as push:
        with pytest.raises(TypeError, match=r"messages are a list or an iterator, got .*: use send\(\) for one"):
            await push.send_many(message)


@pytest.mark.parametrize("most", [0, -1, 1.5, True, None])
async def test_at_least_one_message_is_received(most: Any, deadline: None) -> None:
    async with mq.Pull() as pull:
        with pytest.raises(ValueError, match=r"receive_many\(\) takes a limit of at least 1 message"):
            await pull.receive_many(most)


async def test_others_have_their_turn_and_a_cancellation_arrives(endpoint: str, deadline: None) -> None:
    count = 20_000
    async with married(mq.Pull(receive_hwm=0), mq.Push(send_hwm=0), endpoint) as (pull, push):
        async with trio.open_nursery() as nursery:
            turns = Turns()
            nursery.start_soon(turns.take)
            await push.send_many([b"m"] * count)
            assert turns.count >= count // 1280
            before = turns.count
            left = count
            while left:
                left -= len(await pull.receive_many())
            assert turns.count - before >= count // 2048
            nursery.cancel_scope.cancel()
        source = iter([b"m"] * count)
        with trio.CancelScope() as scope:
            scope.cancel()
            await push.send_many(source)
        assert scope.cancelled_caught
        assert len(list(source)) >= count - 1279


async def test_a_closed_socket_ends_the_wait(endpoint: str, deadline: None) -> None:
    async with married(mq.Pair(), mq.Pair(), endpoint) as (one, _):

        async def receive() -> None:
            with pytest.raises(trio.ClosedResourceError):
                async for _ in one.batches():
                    pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            await one.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await one.send_many([b"late"])
        with pytest.raises(trio.ClosedResourceError):
            await one.receive_many()


async def test_another_thread_may_not(endpoint: str, deadline: None) -> None:
    async with married(mq.Pair(), mq.Pair(), endpoint) as (one, other):
        await other.send(b"here")
        await until(lambda: one.statistics().queued_in == 1)
        for call in (one.receive_many, lambda: one.send_many([b"message"])):

            def run(call: Any = call) -> None:
                with pytest.raises(mq.WrongThread):
                    trio.run(call)

            await trio.to_thread.run_sync(run)
        assert await one.receive_many() == [b"here"]


# -- several peers --------------------------------------------------------------------------------------------


@asynccontextmanager
async def pulls(push: mq.Push, endpoint: str, count: int) -> AsyncIterator[list[mq.Pull]]:
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(mq.Pull()) for _ in range(count)]
        for number, pull in enumerate(sockets):
            push.connect(pull.bind(endpoint if endpoint.endswith(":*") else f"{endpoint}-{number}"))
        await push.wait_connected(count)
        yield sockets


async def test_many_messages_are_dealt_to_the_peers_one_by_one(endpoint: str, deadline: None) -> None:
    async with mq.Push() as push, pulls(push, endpoint, 3) as sinks:
        await push.send_many(numbered(4))
        await push.send_many(numbered(11)[4:])
        await until(lambda: sum(sink.statistics().queued_in for sink in sinks) == 11)
        shares = [await sink.receive_many() for sink in sinks]
        assert sorted(shares) == sorted(numbered(11)[place::3] for place in range(3))


async def test_a_full_peer_is_passed_over(endpoint: str, deadline: None) -> None:
    async with mq.Push(send_hwm=5) as push, mq.Pull() as pull:
        push.connect("tcp://127.0.0.1:9")
        await push.send_many([b"nobody yet"] * 5)
        push.connect(pull.bind(endpoint))
        await push.send_many(numbered(50))
        assert await receive_many(pull, 50) == numbered(50)
        push.disconnect("tcp://127.0.0.1:9")


async def test_peers_with_something_have_equal_shares_of_a_list(endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, AsyncExitStack() as stack:
        address = pull.bind(endpoint)
        for name in (b"a", b"b", b"c"):
            push = await stack.enter_async_context(mq.Push())
            push.connect(address)
            await push.send_many([name] * (2 if name == b"c" else 100))
        await until(lambda: pull.statistics().queued_in == 202)
        assert sorted(await pull.receive_many(30)) == [b"a"] * 10 + [b"b"] * 10 + [b"c"] * 2
        assert sorted(await receive_many(pull, 180)) == [b"a"] * 90 + [b"b"] * 90


async def test_two_tasks_receive_each_message_once(endpoint: str, deadline: None) -> None:
    received: list[bytes] = []

    async def receive(pull: mq.Pull) -> None:
        async for batch in pull.batches(50):
            received.extend(batch)
            await trio.lowlevel.checkpoint()

    async with married(mq.Pull(), mq.Push(), endpoint) as (pull, push), trio.open_nursery() as nursery:
        nursery.start_soon(receive, pull)
        nursery.start_soon(receive, pull)
        await push.send_many(numbered(3000))
        await until(lambda: len(received) == 3000)
        nursery.cancel_scope.cancel()
    assert sorted(received, key=int) == numbered(3000)


async def test_two_tasks_send_all_of_theirs_in_order(endpoint: str, deadline: None) -> None:
    sockets = mq.Pull(receive_hwm=20), mq.Push(send_hwm=20)
    async with married(*sockets, endpoint) as (pull, push), trio.open_nursery() as nursery:
        for name in (b"a", b"b"):
            nursery.start_soon(push.send_many, [name + number for number in numbered(500)])
        received = await receive_many(pull, 1000)
    for name in (b"a", b"b"):
        assert [each[1:] for each in received if each.startswith(name)] == numbered(500)


def test_many_messages_pass_between_threads() -> None:
    address = "inproc://many-between-threads"
    received: list[bytes] = []

    async def receive() -> None:
        with trio.fail_after(20):
            async with mq.Pull() as pull:
                pull.bind(address)
                received.extend(await receive_many(pull, 20_000))

    async def send() -> None:
        with trio.fail_after(20):
            async with mq.Push() as push:
                push.connect(address)
                await push.send_many(numbered(20_000))

    thread = threading.Thread(target=trio.run, args=[receive])
    thread.start()
    trio.run(send)
    thread.join(20)
    assert received == numbered(20_000)


# -- publishing ---------------------------------------------------------------------------------------------------


async def test_a_publisher_sends_to_each_what_it_asked_for(endpoint: str, deadline: None) -> None:
    messages = [b"%s %d" % (topic, number) for number in range(100) for topic in (b"a", b"b")]
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"a") as (pub, sub):
        await pub.send(b"a first")
        await pub.send_many(messages)
        await pub.send(b"a last")
        wanted = [b"a first", *(message for message in messages if message.startswith(b"a")), b"a last"]
        assert await receive_many(sub, len(wanted)) == wanted
        assert pub.statistics().messages_out == 202


async def test_a_publisher_sends_messages_of_several_frames(endpoint: str, deadline: None) -> None:
    async with subscribed(mq.Pub(), mq.Sub(), endpoint, b"a") as (pub, sub):
        await pub.send_many_multipart([[b"a", b"1"], [b"b", b"2"], [b"a", b"3"]])
        await until(lambda: sub.statistics().queued_in == 2)
        assert await sub.receive_many_multipart() == [[b"a", b"1"], [b"a", b"3"]]


async def test_what_a_full_subscriber_misses_is_counted(wire_endpoint: str, deadline: None) -> None:
    body = bytes(4_000_000)
    async with subscribed(mq.Pub(send_hwm=5, linger=0), mq.Sub(receive_hwm=5), wire_endpoint, b"") as (pub, _):
        await pub.send_many([body] * 100)
        await until(lambda: sum(pub.statistics().dropped.values()) > 0)


async def test_with_nodrop_a_publisher_waits_before_it_takes_a_message(wire_endpoint: str, deadline: None) -> None:
    source = iter([bytes(4_000_000)] * 100)
    options: dict[str, Any] = {"send_hwm": 5, "xpub_nodrop": True, "linger": 0}
    async with subscribed(mq.XPub(**options), mq.Sub(receive_hwm=5), wire_endpoint, b"") as (pub, _):
        with trio.move_on_after(0.2):
            await pub.send_many(source)
        statistics = pub.statistics()
        assert statistics.messages_out == 100 - len(list(source))
        assert not statistics.dropped


# -- who has it ---------------------------------------------------------------------------------------------------

SEND, RECEIVE = {"send_many"}, {"receive_many", "batches"}
SEVERAL = {"send_many_multipart", "receive_many_multipart"}
HAVE = {
    **dict.fromkeys(("Pair", "Dealer"), SEND | RECEIVE | SEVERAL),
    **dict.fromkeys(("Push", "Pub", "XPub"), SEND | {"send_many_multipart"}),
    **dict.fromkeys(("Pull", "Sub", "XSub"), RECEIVE | {"receive_many_multipart"}),
    **dict.fromkeys(("Channel", "Client"), SEND | RECEIVE),
    "Scatter": SEND,
    **dict.fromkeys(("Gather", "Dish", "Server", "Peer"), RECEIVE),
    "Router": {"receive_many_multipart"},
    **{name: set() for name in ("Req", "Rep", "Radio", "Stream")},
}


@pytest.mark.parametrize("name", HAVE)
def test_types_have_what_means_something_for_them(name: str) -> None:
    kind = getattr(mq, name)
    assert {each for each in SEND | RECEIVE | SEVERAL if hasattr(kind, each)} == HAVE[name]


@pytest.mark.parametrize(
    ("kind", "name", "advice"),
    [
        (mq.Req, "send_many", r"it passes one message per call; call send\(\) in a loop"),
        (mq.Rep, "batches", r"it passes one message per call; call receive\(\) in a loop"),
        (mq.Router, "send_many_multipart", r"call send_multipart\(\) in a loop"),
        (mq.Pull, "send_many", "it only receives"),
        (mq.Push, "batches", "it only sends"),
        (mq.Scatter, "send_many_multipart", "its messages have one frame"),
    ],
)
def test_others_say_what_to_write(kind: Any, name: str, advice: str) -> None:
    with pytest.raises(AttributeError, match=advice):
        getattr(kind, name)


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts the calls of CPython")
@pytest.mark.parametrize("watched", ["sending", "receiving"])
def test_a_message_of_many_costs_a_fraction_of_a_call(endpoint: str, watched: str) -> None:
    from ..layers.test_hot_path import COUNT, Traffic, carry

    async def send(push: mq.Push, body: bytes) -> None:
        await push.send_many([body] * COUNT)

    async def receive(pull: mq.Pull, body: bytes) -> None:
        assert await receive_many(pull, COUNT) == [body] * COUNT

    calls = carry(endpoint, b"m" * 16, 0, Traffic(mq.Push, mq.Pull, send, receive), watched, in_turn=True)
    assert calls.total() <= 0.2 * COUNT, f"{calls.total() / COUNT:.3f} calls a message: {calls.most_common(8)}"
