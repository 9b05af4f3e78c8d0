"""Who wants which topic? The tables of publisher and subscriber, and what it costs to look something up."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from types import FrameType
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import mq
from mq.patterns.subscriptions import Lengths, Subscriptions, Topics
from mq.pipe import Lane, Pipe

from ..conftest import endpoint_of, until
from ..protocols.wire import steady

topics = st.binary(max_size=4) | st.sampled_from([b"", b"a", b"aa", b"aaa", b"ab"])


def pipe(name: str) -> Pipe:
    return Pipe(name, Lane(1), inbox := Lane(1), False, inbox)


PIPES = [pipe(name) for name in "abc"]


@steady
@given(st.lists(st.tuples(st.sampled_from(["add", "add", "remove", "forget"]), st.sampled_from(PIPES), topics)), topics)
def test_subscriptions_are_a_set_for_each_peer(acts: list[tuple[str, Pipe, bytes]], message: bytes) -> None:
    ours, model = Subscriptions(), set[tuple[Pipe, bytes]]()
    for act, who, topic in acts:
        held = {each for _, each in model}
        if act == "add":
            model.add((who, topic))
            assert ours.add(who, topic) is (topic not in held)
        elif act == "remove":
            model.discard((who, topic))
            assert ours.remove(who, topic) is (topic not in {each for _, each in model})
        else:
            gone = {each for pipe, each in model if pipe is who}
            model -= {(who, each) for each in gone}
            assert ours.forget(who) == {each: each not in {left for _, left in model} for each in gone}
        assert set(ours.topics) == {each for _, each in model}
        assert list(ours.lengths) == sorted({len(each) for _, each in model})
        assert set(ours.match(message)) == {who for who, each in model if message.startswith(each)}
    for who in PIPES:
        ours.forget(who)
    assert (ours.topics, list(ours.lengths), ours._of) == ({}, [], {})


def test_a_long_topic_has_no_more_remembered_of_each_message_than_is_sensible() -> None:
    publisher, subscriber = Subscriptions(), Topics()
    for topic in (bytes(100_000), *map(bytes, range(1, 20))):
        publisher.add(PIPES[0], topic)
        subscriber.add(topic)
    messages = [bytes(10) + b"%d" % number + bytes(200_000) for number in range(50)]
    assert publisher.recipients_of(messages) == [{PIPES[0]}] * 50
    assert subscriber.sift([*messages, b"no"]) == messages
    assert sum(map(len, publisher.remembered)) + sum(map(len, subscriber._matches)) < 100_000


@steady
@given(st.lists(st.tuples(st.sampled_from(["add", "add", "remove"]), topics), max_size=40), topics)
def test_topics_are_counted(acts: list[tuple[str, bytes]], message: bytes) -> None:
    ours, model = Topics(), Counter[bytes]()
    for act, topic in acts:
        if act == "add":
            assert ours.add(topic) is (topic not in model)
            model[topic] += 1
        elif topic not in model:
            with pytest.raises(KeyError):
                ours.remove(topic)
        else:
            model[topic] -= 1
            model += Counter()
            assert ours.remove(topic) is (topic not in model)
        assert list(ours) == list(model)
        assert len(ours) == len(model)
        assert (topic in ours) is (topic in model)
        assert ours.match(message) is any(message.startswith(each) for each in model)
        both = [message, [message, b"more"]]
        assert ours.sift(both) == (both if ours.match(message) else [])


@steady
@given(st.lists(st.integers(0, 5)))
def test_lengths_are_those_that_there_are_in_order(numbers: list[int]) -> None:
    lengths = Lengths()
    for number in numbers:
        lengths.add(number)
        assert list(lengths) == sorted(set(lengths))
    for number in numbers:
        lengths.discard(number)
    assert list(lengths) == []


# -- what it costs -----------------------------------------------------------------------------------------


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the calls in this thread, of Python and of C, by name."""
    calls: Counter[str] = Counter()

    def on_event(frame: FrameType, event: str, what: Any) -> None:
        if event == "call":
            calls[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            calls[what.__qualname__] += 1

    sys.setprofile(on_event)
    try:
        yield calls
    finally:
        sys.setprofile(None)


async def cost_of(pub: mq.Pub, body: bytes) -> Counter[str]:
    """Return the calls that sending ``body`` makes, once the sender has had its turn."""
    await trio.lowlevel.checkpoint()
    with counted() as calls:
        await pub.send(body)
    with counted() as more:
        await pub.send_multipart([body, b""])
    return calls + more


@pytest.mark.parametrize(("transport", "subscribers", "each"), [("inproc", 100, 1000), ("ipc", 4, 25_000)])
async def test_what_a_message_costs_does_not_grow_with_the_topics_held(
    transport: str, subscribers: int, each: int, tmp_path: Any
) -> None:
    with trio.fail_after(120):
        async with mq.Pub() as pub, AsyncExitStack() as stack:
            address = pub.bind(endpoint_of(transport, tmp_path))
            subs = [await stack.enter_async_context(mq.Sub(receive_hwm=0)) for _ in range(subscribers)]
            for number, sub in enumerate(subs):
                sub.connect(address)
                sub.subscribe(b"%06d" % number)
            await until(lambda: pub.topics_count == subscribers)
            few = await cost_of(pub, b"000001 and more")
            nobody = await cost_of(pub, b"x")
            for number, sub in enumerate(subs):
                for topic in range(each):
                    sub.subscribe(b"%06d" % (number + topic * subscribers))
            await until(lambda: pub.topics_count == subscribers * each)
            assert subscribers * each == 100_000
            assert await subs[1].receive() == b"000001 and more"
            assert await subs[1].receive_multipart() == [b"000001 and more", b""]
            many = await cost_of(pub, b"000001 and more")
            assert many["dict.get"] == few["dict.get"] <= 4
            assert many.total() <= few.total() + 10  # how the subscriber is doing plays a part
            assert (await cost_of(pub, b"x")).total() == nobody.total()
            assert await subs[1].receive() == b"000001 and more"


async def test_topics_that_are_longer_than_a_message_cost_nothing(deadline: None) -> None:
    async with mq.Pub() as pub, mq.Sub() as sub:
        sub.connect(pub.bind("inproc://longer"))
        await pub.wait_connected()
        alone = await cost_of(pub, b"aa")
        for length in range(3, 1000):
            sub.subscribe(b"a" * length)
        await until(lambda: pub.topics_count == 997)
        assert (await cost_of(pub, b"aa")).total() <= alone.total() + 4


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("special", [False, True])
async def test_a_message_is_encoded_once_for_all(
    wire_endpoint: str, frames: int, special: bool, deadline: None
) -> None:
    spent: list[dict[str, int]] = []
    for subscribers in (1, 50):
        async with mq.Pub(last_values=int(special)) as pub, AsyncExitStack() as stack:
            address = pub.bind(wire_endpoint)
            subs = [await stack.enter_async_context(mq.Sub()) for _ in range(subscribers)]
            for sub in subs:
                sub.connect(address)
                sub.subscribe(b"")
            await pub.wait_subscribed(n=subscribers)
            await trio.lowlevel.checkpoint()
            with counted() as calls:
                for _ in range(3):
                    await pub.send_multipart([b"body"] * frames)
                    await pub.send(b"body")
                for _ in range(3):  # what follows the first goes out in the next tick
                    await trio.lowlevel.checkpoint()
            names = ("wire", "wires", "encode_mixed", "encode", "_Headers.__getitem__")
            spent.append({name: calls[name] for name in names})
            for sub in subs:
                assert await sub.receive_multipart() == [b"body"] * frames
    assert spent[0] == spent[1]
    assert 0 < spent[0]["_Headers.__getitem__"] <= 3 * (frames + 1)
    assert spent[0]["encode"] == 0
