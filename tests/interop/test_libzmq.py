"""Do messages pass between us and libzmq, both ways, whoever binds, whatever their size?"""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import zmq

import mq

from ..conftest import next_event
from .libzmq import libzmq, meeting

SIZES = (0, 1, 255, 256, 64 * 1024, 1024 * 1024)
COUNT = 10_000

binders = pytest.mark.parametrize("binder", ["ours", "theirs"])


def _messages(seed: int) -> list[list[bytes]]:
    source = random.Random(seed)
    bodies = {size: source.randbytes(size) for size in SIZES}
    single = [[bodies[size]] for size in SIZES]
    several = [[b""] * 3, [b"a", b"", b"c"], [bodies[size] for size in SIZES], [b"%d" % part for part in range(300)]]
    return single + several + single[::-1]


@binders
async def test_many_messages_pass_to_libzmq_and_back_in_lists(wire_endpoint: str, binder: str, deadline: None) -> None:
    messages = [[b"%d" % number, bytes(number % 300)] for number in range(3000)]
    async with meeting(mq.Pair(), zmq.PAIR, wire_endpoint, binder) as (pair, theirs):
        await pair.send_many_multipart(messages[:600])
        await pair.send_many(body for _, body in messages[:300])
        assert await theirs.receive(900) == [*messages[:600], *([body] for _, body in messages[:300])]
        received: list[list[bytes]] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(theirs.send, *messages)
            while len(received) < len(messages):
                received += await pair.receive_many_multipart()
        assert received == messages


@binders
async def test_push_sends_messages_of_every_size_to_libzmq(wire_endpoint: str, binder: str, deadline: None) -> None:
    async with meeting(mq.Push(), zmq.PULL, wire_endpoint, binder) as (push, theirs):
        for frames in _messages(1):
            await push.send_multipart(frames)
        assert await theirs.receive(len(_messages(1))) == _messages(1)


@binders
async def test_pull_receives_messages_of_every_size_from_libzmq(
    wire_endpoint: str, binder: str, deadline: None
) -> None:
    async with meeting(mq.Pull(), zmq.PUSH, wire_endpoint, binder) as (pull, theirs):
        await theirs.send(*_messages(2))
        for frames in _messages(2):
            assert await pull.receive_multipart() == frames


@binders
async def test_pair_exchanges_messages_of_every_size_with_libzmq(
    wire_endpoint: str, binder: str, deadline: None
) -> None:
    async with meeting(mq.Pair(), zmq.PAIR, wire_endpoint, binder) as (pair, theirs):
        for frames in _messages(3):
            await pair.send_multipart(frames)
            assert await theirs.receive() == [frames]
            await theirs.send(frames)
            assert await pair.receive_multipart() == frames


async def test_a_message_of_64_mebibytes_passes_both_ways(wire_endpoint: str, deadline: None) -> None:
    body = random.Random(4).randbytes(64 * 1024 * 1024)
    async with meeting(mq.Pair(), zmq.PAIR, wire_endpoint, "ours") as (pair, theirs):
        await pair.send(body)
        ((echo,),) = await theirs.receive()
        assert echo == body
        await theirs.send([echo, b"and back"])
        back, note = await pair.receive_multipart()
        assert back == body
        assert note == b"and back"


@binders
async def test_many_messages_to_libzmq_arrive_in_order_and_whole(
    wire_endpoint: str, binder: str, deadline: None
) -> None:
    messages = [b"%d" % number for number in range(COUNT)]
    async with meeting(mq.Push(), zmq.PULL, wire_endpoint, binder) as (push, theirs), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            for message in messages:
                await push.send(message)

        assert await theirs.receive(COUNT) == [[message] for message in messages]


@binders
async def test_many_messages_from_libzmq_arrive_in_order_and_whole(
    wire_endpoint: str, binder: str, deadline: None
) -> None:
    messages = [b"%d" % number for number in range(COUNT)]
    async with meeting(mq.Pull(), zmq.PUSH, wire_endpoint, binder) as (pull, theirs), trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send, *([message] for message in messages))
        for message in messages:
            assert await pull.receive() == message


@binders
async def test_both_sides_of_a_pair_stream_at_once(wire_endpoint: str, binder: str, deadline: None) -> None:
    messages = [[b"%d" % number, bytes(number % 1000)] for number in range(COUNT // 2)]
    async with libzmq_pair(wire_endpoint, binder) as (pair, echo), trio.open_nursery() as nursery:
        nursery.start_soon(echo, len(messages))

        @nursery.start_soon
        async def send() -> None:
            for frames in messages:
                await pair.send_multipart(frames)

        for frames in messages:
            assert await pair.receive_multipart() == frames


@asynccontextmanager
async def libzmq_pair(endpoint: str, binder: str) -> AsyncIterator[tuple[Any, Any]]:
    """Join a PAIR of ours with one of libzmq that sends back so many messages, as they come."""
    async with meeting(mq.Pair(), zmq.PAIR, endpoint, binder) as (pair, theirs):

        async def echo(count: int) -> None:
            left = count
            while left:
                batch = min(left, 100)
                await theirs.send(*await theirs.receive(batch))
                left -= batch

        yield pair, echo


@binders
async def test_leaving_flushes_to_libzmq(wire_endpoint: str, binder: str, deadline: None) -> None:
    # Over ipc, libzmq with a full queue forgets what a peer that has closed left in the kernel, its own peers' too.
    async with libzmq(zmq.PULL, RCVHWM=COUNT) as theirs:
        push = mq.Push(send_hwm=COUNT)
        if binder == "theirs":
            endpoint = theirs.bind(wire_endpoint)
        async with push:
            if binder == "ours":
                theirs.connect(push.bind(wire_endpoint))
                await push.wait_connected()
            else:
                push.connect(endpoint)
            for number in range(COUNT):
                await push.send(b"%d" % number)
        assert await theirs.receive(COUNT) == [[b"%d" % number] for number in range(COUNT)]


@binders
async def test_libzmq_leaving_flushes_to_us(wire_endpoint: str, binder: str, deadline: None) -> None:
    async with mq.Pull() as pull:
        async with libzmq(zmq.PUSH) as theirs:
            if binder == "ours":
                theirs.connect(pull.bind(wire_endpoint))
            else:
                pull.connect(theirs.bind(wire_endpoint))
            await theirs.send(*([b"%d" % number] for number in range(900)))
        for number in range(900):
            assert await pull.receive() == b"%d" % number


async def test_a_slow_reader_with_the_smallest_queue_loses_nothing(wire_endpoint: str, deadline: None) -> None:
    total = 300
    small = {"RCVHWM": 1} if wire_endpoint.startswith("ipc") else {"RCVHWM": 1, "RCVBUF": 4096}
    pair = meeting(mq.Push(send_hwm=1), zmq.PULL, wire_endpoint, "theirs", **small)
    async with pair as (push, theirs), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            for number in range(total):
                await push.send_multipart([b"%d" % number, bytes(20_000)])

        for number in range(total):
            assert await theirs.receive() == [[b"%d" % number, bytes(20_000)]]
            await trio.lowlevel.checkpoint()


async def test_a_slow_reader_of_ours_loses_nothing_of_libzmqs(wire_endpoint: str, deadline: None) -> None:
    total = 300
    pair = meeting(mq.Pull(receive_hwm=1), zmq.PUSH, wire_endpoint, "ours", SNDHWM=1)
    async with pair as (pull, theirs), trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send, *([b"%d" % number, bytes(20_000)] for number in range(total)))
        for number in range(total):
            assert await pull.receive_multipart() == [b"%d" % number, bytes(20_000)]
            await trio.lowlevel.checkpoint()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
@binders
async def test_abstract_names_mean_the_same(tmp_path: Path, binder: str, deadline: None) -> None:
    async with meeting(mq.Pair(), zmq.PAIR, f"ipc://@{tmp_path}", binder) as (pair, theirs):
        await pair.send(b"hello")
        assert await theirs.receive() == [[b"hello"]]


@binders
async def test_ipv6_addresses_mean_the_same(binder: str, deadline: None) -> None:
    try:
        async with meeting(mq.Pair(), zmq.PAIR, "tcp://[::1]:*", binder, IPV6=1) as (pair, theirs):
            await pair.send(b"hello")
            assert await theirs.receive() == [[b"hello"]]
    except (zmq.ZMQError, mq.BindError):
        pytest.skip("this machine has no IPv6")


@binders
async def test_types_that_do_not_fit_are_not_joined(wire_endpoint: str, binder: str, deadline: None) -> None:
    async with libzmq(zmq.PUB, LINGER=0) as theirs, mq.Pull() as pull, pull.monitor() as events:
        if binder == "ours":
            theirs.connect(pull.bind(wire_endpoint))
        else:
            pull.connect(theirs.bind(wire_endpoint))
        # Who refuses whom is a race: libzmq may close before its own type has arrived.
        await next_event(events, mq.HandshakeFailed)
        assert not any(peer.connected for peer in pull.statistics().peers)


async def test_several_libzmq_workers_share_what_we_push(wire_endpoint: str, deadline: None) -> None:
    async with mq.Push() as push, libzmq(zmq.PULL) as one, libzmq(zmq.PULL) as two:
        endpoint = push.bind(wire_endpoint)
        one.connect(endpoint)
        two.connect(endpoint)
        await push.wait_connected(2)
        for number in range(200):
            await push.send(b"%d" % number)
        shares = [await theirs.receive(100) for theirs in (one, two)]
        everything = [[b"%d" % number] for number in range(200)]
        assert sorted(shares) == sorted([everything[0::2], everything[1::2]])
