"""Does a connection that ends in order lose anything that its peer would take? And how long does the end take?"""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
import zmq

import mq

from ..conftest import married, next_event, until
from ..interop.libzmq import Libzmq, libzmq
from ..patterns.meeting import numbered
from ..protocols.wire import command, frame
from .raw import Raw, raw_peer, raw_server

BODY = bytes(10_000)
SMALL_BUFFERS: dict[str, Any] = {"RCVHWM": 1, "SNDHWM": 1, "RCVBUF": 16384}


async def close(socket: mq.Socket, endpoint: str) -> None:
    await socket.aclose()


async def disconnect(socket: mq.Socket, endpoint: str) -> None:
    socket.disconnect(endpoint)
    await until(lambda: not socket.statistics().peers)


WAYS_OUT = pytest.mark.parametrize("leave", [close, disconnect])
Leave = Callable[[mq.Socket, str], Awaitable[None]]


async def take_slowly(theirs: Libzmq, count: int, reply: bytes = b"") -> list[bytes]:
    """Receive ``count`` messages with pauses, send a ``reply`` after some of them, and return the bodies."""

    def take() -> list[bytes]:
        got = []
        with suppress(zmq.Again):
            while len(got) < count:
                got.append(theirs._socket.recv())
                if reply and len(got) % 10 == 5:
                    theirs._socket.send(reply)
                time.sleep(0.002)
        return got

    return await trio.to_thread.run_sync(take)


# -- nothing is lost ---------------------------------------------------------------------------------------


@WAYS_OUT
async def test_a_pong_on_its_way_costs_no_message(wire_endpoint: str, leave: Leave, deadline: None) -> None:
    options = {**SMALL_BUFFERS, "RCVTIMEO": 3000}
    async with libzmq(zmq.PULL, **options) as theirs, trio.open_nursery() as nursery:
        endpoint = theirs.bind(wire_endpoint)
        async with mq.Push(heartbeat_interval=0.05, heartbeat_timeout=10) as push:
            push.connect(endpoint)
            for _ in range(60):
                await push.send(BODY)
            await trio.sleep(0.12)  # a PING follows what the PULL has not read yet
            for _ in range(60):
                await push.send(BODY)
            got: list[bytes] = []

            @nursery.start_soon
            async def take() -> None:
                got.extend(await take_slowly(theirs, 120))

            await leave(push, endpoint)
        with trio.move_on_after(10):
            await until(lambda: len(got) == 120)
        assert len(got) == 120
        assert push.statistics().dropped == {}


@WAYS_OUT
async def test_replies_to_us_cost_no_message(wire_endpoint: str, leave: Leave, deadline: None) -> None:
    options = {**SMALL_BUFFERS, "RCVTIMEO": 3000}
    async with libzmq(zmq.DEALER, **options) as theirs, trio.open_nursery() as nursery:
        endpoint = theirs.bind(wire_endpoint)
        got: list[bytes] = []

        @nursery.start_soon
        async def take() -> None:
            got.extend(await take_slowly(theirs, 100, b"reply"))

        async with mq.Dealer() as dealer:
            dealer.connect(endpoint)
            for _ in range(100):
                await dealer.send(BODY)
            await leave(dealer, endpoint)
        with trio.move_on_after(10):
            await until(lambda: len(got) == 100)
        assert len(got) == 100
        assert dealer.statistics().dropped == {}


async def test_our_own_peer_that_replies_gets_all(wire_endpoint: str, deadline: None) -> None:
    async with mq.Dealer(receive_hwm=1, receive_buffer=16384) as worker:
        endpoint = worker.bind(wire_endpoint)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def work() -> None:
                for number in range(100):
                    assert await worker.receive_multipart() == [b"%d" % number, BODY]
                    worker.send_nowait(b"a reply that nobody receives")

            async with mq.Dealer() as client:
                client.connect(endpoint)
                for number in range(100):
                    await client.send_multipart([b"%d" % number, BODY])
        assert client.statistics().dropped == {}


@pytest.mark.parametrize("end", ["unbind", "disconnect_peer", "aclose"])
async def test_a_peer_of_a_binding_socket_gets_all_although_it_writes(
    wire_endpoint: str, end: str, deadline: None
) -> None:
    """The peer reads only after our end, and writes before it has read all."""
    server = mq.Router(send_hwm=0)
    async with server, server.monitor() as events, trio.open_nursery() as nursery:
        endpoint = server.bind(wire_endpoint)
        async with raw_peer(endpoint) as raw:
            await raw.shake_hands(b"DEALER")
            await raw.say(frame(b"hello"))
            name, _ = await server.receive_multipart()
            for _ in range(1000):
                await server.send_multipart([name, BODY])
            if end == "unbind":
                server.unbind(endpoint)
            elif end == "disconnect_peer":
                server.disconnect_peer(name)
            else:
                nursery.start_soon(server.aclose)
            await trio.testing.wait_all_tasks_blocked()
            size = len(frame(BODY))
            for number in range(1000):
                if number % 10 == 0:
                    await raw.say(frame(b"and a word from us"))
                await raw.skip(size)
            assert await raw.hear_end() == b""
        if end != "aclose":
            await next_event(events, mq.Disconnected)
        assert server.statistics().dropped == {}


async def test_a_stream_that_hangs_up_delivers_all_to_a_peer_that_writes(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream() as stream, raw_peer(stream.bind(wire_endpoint)) as raw:
        name, _ = await stream.receive_multipart()
        await stream.send_multipart([name, bytes(10_000_000)])
        await stream.send_multipart([name, b""])
        for _ in range(100):
            await raw.say(b"GET / HTTP/1.1\r\n\r\n" * 10)
            await raw.skip(100_000)
        assert await raw.hear_end() == b""


async def test_a_stream_flushes_to_a_peer_that_has_ended_its_own_side(wire_endpoint: str, deadline: None) -> None:
    async with mq.Stream() as stream, raw_peer(stream.bind(wire_endpoint)) as raw:
        name, _ = await stream.receive_multipart()
        await stream.send_multipart([name, bytes(10_000_000)])
        await stream.send_multipart([name, b""])
        await trio.testing.wait_all_tasks_blocked()
        await raw.stream.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        await raw.skip(10_000_000)
        assert await raw.hear_end() == b""


async def test_what_comes_during_the_end_is_discarded_and_answered_with_nothing(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Pair() as pair, trio.open_nursery() as nursery:
        async with raw_peer(pair.bind(wire_endpoint)) as raw:
            await raw.shake_hands(b"PAIR")
            await pair.wait_connected()
            await pair.send(b"the last")
            nursery.start_soon(pair.aclose)
            assert await raw.hear_frame() == (0, b"the last")
            assert await raw.hear_end() == b""
            with suppress(trio.BrokenResourceError):  # over ipc, it has what it takes, and we are gone
                await raw.say(command(b"PING", b"\0\0") + b"\xff no frame")
            assert await raw.hear_end() == b""
        assert pair.statistics().messages_in == 0


async def test_two_sockets_that_close_at_once_do_not_wait_for_each_other(wire_endpoint: str, deadline: None) -> None:
    pairs = [mq.Pair(linger=math.inf, receive_hwm=1) for _ in range(2)]
    async with married(*pairs, wire_endpoint) as (one, other):
        for _ in range(50):  # more than is received, and no more than the kernel takes
            await one.send(bytes(1000))
            await other.send(bytes(1000))
        await until(lambda: not one.statistics().queued_out and not other.statistics().queued_out)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.aclose)
            nursery.start_soon(other.aclose)


# -- nothing is stuck --------------------------------------------------------------------------------------


async def ended(socket: mq.Socket, *, within: float) -> None:
    with trio.fail_after(within):
        await socket.aclose()


async def test_a_pull_that_does_not_receive_is_not_waited_for_when_its_kernel_has_all(deadline: None) -> None:
    """Its type sends nothing, so that nothing can go wrong."""
    async with mq.Pull(receive_hwm=1) as pull, mq.Push(linger=math.inf) as push:
        push.connect(pull.bind("tcp://127.0.0.1:*"))
        for message in numbered(100):
            await push.send(message)
        await ended(push, within=5)
        for message in numbered(100):
            assert await pull.receive() == message
        assert push.statistics().dropped == {}


async def test_a_peer_that_was_sent_nothing_is_not_waited_for(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pair(linger=math.inf) as pair, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        await raw.say(frame(b"hello"))
        assert await pair.receive() == b"hello"
        await ended(pair, within=4)


async def test_a_peer_that_has_not_shaken_hands_is_not_waited_for(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pair(linger=math.inf) as pair, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.hear(10)
        await ended(pair, within=4)


async def test_a_peer_that_stays_when_its_kernel_has_all_is_left_in_the_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The patience is bounded, however long linger is."""
    async with mq.Pair(linger=math.inf) as pair, raw_peer(pair.bind("tcp://127.0.0.1:*")) as raw:
        await raw.shake_hands(b"PAIR")
        await pair.wait_connected()
        await pair.send(b"hello")
        start = trio.current_time()
        await pair.aclose()
        assert 5 <= trio.current_time() - start < 20  # this clock runs ahead of the kernel
        assert pair.statistics().dropped == {}


async def test_a_peer_that_talks_on_for_ever_is_left_in_the_end(autojump_clock: trio.testing.MockClock) -> None:
    async with mq.Pair(linger=1) as pair, raw_peer(pair.bind("tcp://127.0.0.1:*")) as raw:
        await raw.shake_hands(b"PAIR")
        await pair.wait_connected()
        await pair.send(b"hello")
        start = trio.current_time()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def talk() -> None:
                while True:
                    await raw.say(b"on and on")
                    await trio.sleep(0.1)

            await pair.aclose()
            nursery.cancel_scope.cancel()
        assert 5 < trio.current_time() - start < 20


async def test_half_a_file_that_waits_is_sent_to_a_peer_that_has_ended_its_own_side(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Stream() as stream, raw_peer(stream.bind(wire_endpoint)) as raw:
        name, _ = await stream.receive_multipart()
        await stream.send_multipart([name, bytes(10_000_000)])
        await raw.stream.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        await raw.skip(10_000_000)
        assert await raw.hear_end() == b""
        assert await stream.receive_multipart() == [name, b""]


@pytest.mark.parametrize("linger", [0.0, math.inf])
async def test_a_cancelled_end_is_over_at_once(wire_endpoint: str, linger: float, deadline: None) -> None:
    async with mq.Pair(linger=linger) as pair, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        await pair.wait_connected()
        while True:
            with trio.move_on_after(0.05) as full:
                await pair.send(BODY)
            if full.cancelled_caught:
                break
        with trio.fail_after(4), trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pair.aclose)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()


# -- what is lost is told ----------------------------------------------------------------------------------


def taken_by_the_kernel_alone(endpoint: str) -> list[bytes]:
    """Return messages that fit into the kernel buffers, and of which tcp has some unacknowledged."""
    return [bytes(100_000 if endpoint.startswith("tcp") else 10_000)] * 10


async def send_and_close(push: mq.Push, endpoint: str) -> mq.Dropped:
    """Send what only the kernel takes, close, and return what is reported."""
    async with push.monitor() as events:
        push.connect(endpoint)
        await push.wait_connected()
        for message in taken_by_the_kernel_alone(endpoint):
            await push.send(message)
        await push.aclose()
        dropped: mq.Dropped = await next_event(events, mq.Dropped)
    assert dropped.reason == "unacknowledged"
    assert dropped.bytes > 0
    assert 1 <= dropped.count <= 10
    assert push.statistics().dropped == {"unacknowledged": dropped.count}
    return dropped


async def test_bytes_that_a_peer_never_takes_are_reported_as_unacknowledged(
    wire_endpoint: str, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def idle(raw: Raw) -> None:
        await raw.shake_hands(b"PULL")
        await trio.sleep_forever()

    async with raw_server(wire_endpoint, idle) as endpoint, mq.Push(linger=0.1) as push:
        dropped = await send_and_close(push, endpoint)
    assert f"dropped {dropped.count} unacknowledged message" in caplog.text
    assert f"({dropped.bytes} bytes)" in caplog.text
    assert "nothing was taken for 0.1 s" in caplog.text


async def test_a_reset_ends_the_end_at_once_and_is_reported(deadline: None, caplog: pytest.LogCaptureFixture) -> None:
    async def reset(raw: Raw) -> None:
        await raw.shake_hands(b"PULL")
        await raw.stream.wait_send_all_might_not_block()
        await trio.testing.wait_all_tasks_blocked(0.05)
        raw.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with raw_server("tcp://127.0.0.1:*", reset) as endpoint, mq.Push(linger=math.inf) as push:
        dropped = await send_and_close(push, endpoint)
    assert f"dropped {dropped.count} unacknowledged message" in caplog.text
    assert "the connection broke" in caplog.text


async def test_what_a_disconnected_peer_does_not_take_is_counted_and_not_logged(
    wire_endpoint: str, deadline: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def idle(raw: Raw) -> None:
        await raw.shake_hands(b"PULL")
        await trio.sleep_forever()

    async with raw_server(wire_endpoint, idle) as endpoint, mq.Push(linger=0.1) as push, push.monitor() as events:
        push.connect(endpoint)
        await push.wait_connected()
        for message in taken_by_the_kernel_alone(endpoint):
            await push.send(message)
        push.disconnect(endpoint)
        assert (await next_event(events, mq.Dropped)).reason == "unacknowledged"
    assert not caplog.records
