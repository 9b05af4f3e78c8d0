"""Is a dead peer noticed, and a live one never taken for dead?"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
import time
from typing import Any

import pytest
import trio
import zmq

import mq

from ..conftest import married, next_event, until
from ..interop.libzmq import libzmq
from ..protocols.wire import command, frame, opening
from .raw import heartbeats, raw_peer, raw_server

SO_ATTACH_FILTER = 26
BEAT = 0.02
FAST: dict[str, Any] = {"heartbeat_interval": BEAT, "heartbeat_timeout": BEAT * 10}
LONG_ENOUGH = 15
"""Beats after which a peer that was to be dropped would have been."""


def nothing_ended(events: Any) -> None:
    """Assert that a monitor has seen no connection end."""
    while True:
        try:
            event = events.receive_nowait()
        except trio.WouldBlock:
            return
        assert not isinstance(event, (mq.Disconnected, mq.HandshakeFailed, mq.Dropped)), event


async def test_a_silent_peer_is_asked_and_stays_as_long_as_it_answers(wire_endpoint: str, deadline: None) -> None:
    pair = mq.Pair(heartbeat_interval=BEAT, heartbeat_timeout=10)
    async with pair, raw_peer(pair.bind(wire_endpoint)) as raw, pair.monitor() as events:
        await raw.shake_hands(b"PAIR")
        for _ in range(LONG_ENOUGH):
            await raw.answer_ping()
        nothing_ended(events)
        await raw.say(frame(b"still here"))
        assert await pair.receive() == b"still here"


async def test_a_peer_that_stops_answering_is_let_go(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pair(**FAST) as pair, pair.monitor() as events, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        await raw.answer_ping()
        await raw.hear_end()
        async for event in events:
            if isinstance(event, mq.Disconnected):
                assert "heartbeat: nothing received for" in event.reason
                break


async def test_a_connecting_socket_leaves_a_dead_server_and_finds_it_again(wire_endpoint: str, deadline: None) -> None:
    met = 0

    async def serve(raw: Any) -> None:
        nonlocal met
        met += 1
        await raw.shake_hands(b"PAIR")
        if met == 1:
            await raw.hear_end()
        else:
            await raw.say(frame(b"again"))
            while True:
                await raw.answer_ping()

    async with mq.Pair(**FAST, reconnect_interval=0.01) as pair, raw_server(wire_endpoint, serve) as endpoint:
        pair.connect(endpoint)
        assert await pair.receive() == b"again"
        assert met == 2
        assert pair.statistics().reconnects == 1


async def test_messages_are_a_sign_of_life_too(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pair(**FAST) as pair, pair.monitor() as events, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        for _ in range(LONG_ENOUGH):
            while await raw.hear_frame() != (4, b"\x04PING\x00\x00"):
                pass
            await raw.say(frame(b"a message and no PONG"))
            assert await pair.receive() == b"a message and no PONG"
        nothing_ended(events)


@pytest.mark.parametrize("context", [b"", b"context", b"c" * 16, b"c" * 40])
async def test_a_ping_is_answered(wire_endpoint: str, context: bytes, deadline: None) -> None:
    async with mq.Pair(heartbeat_interval=None) as pair, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        for _ in range(3):
            await raw.say(command(b"PING", b"\x00\x64" + context))
            assert await raw.hear_frame() == (4, b"\x04PONG" + context[:16])


async def test_a_ping_between_the_frames_of_a_message_is_answered_before_its_end(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Pair(heartbeat_interval=None) as pair, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        await raw.say(frame(b"a", 1) + command(b"PING", b"\x00\x64now"))
        assert await raw.hear_frame() == (4, b"\x04PONGnow")
        await raw.say(frame(b"b"))
        assert await pair.receive_multipart() == [b"a", b"b"]


async def test_a_3_0_peer_is_never_asked(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pair(**FAST) as pair, pair.monitor() as events, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR", minor=0)
        await heartbeats(LONG_ENOUGH, BEAT)
        assert raw.hears_nothing()
        nothing_ended(events)
        await raw.say(frame(b"old but well"))
        assert await pair.receive() == b"old but well"


async def test_without_heartbeats_nobody_is_asked(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pair(heartbeat_interval=None) as pair, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        await heartbeats(LONG_ENOUGH, BEAT)
        assert raw.hears_nothing()


async def fill(push: mq.Push) -> int:
    """Send until nothing more is taken; return how many messages were."""
    sent = 0
    while True:
        with trio.move_on_after(0.1) as scope:
            await push.send(b"%d" % sent + bytes(1000))
            sent += 1
        if scope.cancelled_caught:
            return sent


async def test_a_live_peer_whose_inbox_is_full_is_never_dropped(wire_endpoint: str, deadline: None) -> None:
    push, pull = mq.Push(**FAST, send_hwm=10), mq.Pull(heartbeat_interval=None, receive_hwm=10)
    async with married(pull, push, wire_endpoint), push.monitor() as events:
        sent = await fill(push)
        await heartbeats(LONG_ENOUGH, BEAT)
        nothing_ended(events)
        for number in range(sent):
            assert await pull.receive() == b"%d" % number + bytes(1000)
        await push.send(b"on we go")
        assert await pull.receive() == b"on we go"


async def test_our_own_full_inbox_drops_nobody(wire_endpoint: str, deadline: None) -> None:
    push, pull = mq.Push(heartbeat_interval=None, send_hwm=10), mq.Pull(**FAST, receive_hwm=10)
    async with married(pull, push, wire_endpoint), pull.monitor() as events:
        sent = await fill(push)
        await heartbeats(LONG_ENOUGH, BEAT)
        nothing_ended(events)
        for number in range(sent):
            assert await pull.receive() == b"%d" % number + bytes(1000)
        await heartbeats(LONG_ENOUGH, BEAT)
        nothing_ended(events)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (mq.Pair, mq.Pair),
        (mq.Push, mq.Pull),
        (mq.Pub, mq.Sub),
        (mq.XPub, mq.XSub),
        (mq.Req, mq.Rep),
        (mq.Dealer, mq.Router),
        (mq.Client, mq.Server),
        (mq.Peer, mq.Peer),
        (mq.Channel, mq.Channel),
        (mq.Scatter, mq.Gather),
        (mq.Radio, mq.Dish),
    ],
)
async def test_two_sockets_with_nothing_to_say_keep_each_other(
    wire_endpoint: str, one: Any, other: Any, deadline: None
) -> None:
    here, there = one(**FAST), other(**FAST)
    async with married(here, there, wire_endpoint), here.monitor() as events, there.monitor() as others:
        await heartbeats(LONG_ENOUGH, BEAT)
        nothing_ended(events)
        nothing_ended(others)


async def test_a_task_that_holds_up_its_own_run_costs_no_live_peer_its_connection(
    wire_endpoint: str, pair_of_libzmq: zmq.Socket[bytes], deadline: None
) -> None:
    async with mq.Pair(heartbeat_interval=0.02, heartbeat_timeout=0.1) as pair, pair.monitor() as events:
        pair_of_libzmq.connect(pair.bind(wire_endpoint))
        await pair.wait_connected()
        for _ in range(5):
            before = pair.statistics().bytes_out
            await until(lambda before=before: pair.statistics().bytes_out > before)  # type: ignore[misc]
            time.sleep(0.12)  # noqa: ASYNC251  what a careless user does, between PING and PONG
            await heartbeats(1, BEAT)
        nothing_ended(events)


async def test_messages_that_were_sent_with_the_last_step_of_the_handshake_may_still_be_unread(
    wire_endpoint: str, deadline: None
) -> None:
    """They were sent before the watch had its first look."""
    push = mq.Push(**FAST)
    async with push, raw_peer(push.bind(wire_endpoint)) as raw, push.monitor() as events:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(push.send, b"sent at once")
            await raw.shake_hands(b"PULL")
        await heartbeats(LONG_ENOUGH, BEAT)
        nothing_ended(events)


async def test_a_peer_that_talks_may_have_read_nothing(wire_endpoint: str, deadline: None) -> None:
    """A worker with a full inbox sends a result, and then works on the next task for long."""
    async with mq.Dealer(**FAST) as dealer, dealer.monitor() as events, raw_peer(dealer.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"DEALER")
        await dealer.wait_connected()
        for _ in range(3):
            await dealer.send(b"a task")
        await raw.say(frame(b"a result"))
        assert await dealer.receive() == b"a result"
        await heartbeats(LONG_ENOUGH, BEAT)
        nothing_ended(events)
        assert await raw.hear_frame() == (0, b"a task")


async def test_a_peer_that_has_answered_behind_the_last_message_is_let_go_when_it_stops(
    wire_endpoint: str, deadline: None
) -> None:
    async with mq.Pair(**FAST) as pair, pair.monitor() as events, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        await pair.send(b"a message")
        assert await raw.hear_frame() == (0, b"a message")
        await raw.answer_ping()
        await raw.hear_end()
        assert "heartbeat: nothing received" in (await next_event(events, mq.Disconnected)).reason


async def test_a_pong_from_before_a_message_proves_nothing_about_it(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pair(**FAST) as pair, pair.monitor() as events, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        assert await raw.hear_frame() == (4, b"\x04PING\x00\x00")
        await pair.send(b"sent between PING and PONG")
        await raw.say(b"\x04\x05\x04PONG")
        await heartbeats(LONG_ENOUGH, BEAT)
        nothing_ended(events)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells, and has this filter")
async def test_a_peer_whose_kernel_is_dead_is_let_go_although_it_was_sent_messages(deadline: None) -> None:
    """A filter drops all packets to the peer, as a cable that was cut does."""
    async with mq.Pair(**FAST) as pair, pair.monitor() as events, raw_peer(pair.bind("tcp://127.0.0.1:*")) as raw:
        await raw.shake_hands(b"PAIR")
        await pair.wait_connected()
        nothing = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0 bytes
        program = struct.pack("HL", 1, ctypes.addressof(nothing))
        raw.stream.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        await pair.send(b"a message")
        assert "heartbeat: nothing received" in (await next_event(events, mq.Disconnected)).reason


# -- time to live ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "tenths"), [(0.1, 1), (0.37, 3), (30, 300), (6553.5, 65535)])
async def test_a_ping_tells_our_time_to_live(wire_endpoint: str, seconds: float, tenths: int, deadline: None) -> None:
    pair = mq.Pair(heartbeat_interval=BEAT, heartbeat_ttl=seconds)
    async with pair, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        for _ in range(3):
            assert await raw.hear_frame() == (4, b"\x04PING" + tenths.to_bytes(2, "big"))
            await raw.say(b"\x04\x05\x04PONG")


async def test_who_has_a_time_to_live_gives_signs_of_life_unasked_and_however_much_it_hears(
    wire_endpoint: str, deadline: None
) -> None:
    pair = mq.Pair(heartbeat_interval=30, heartbeat_ttl=0.1)
    async with pair, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        for number in range(5):
            assert await raw.hear_frame() == (4, b"\x04PING\x00\x01")
            await raw.say(frame(b"%d" % number))


async def test_a_peer_that_outlives_its_time_is_let_go(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pair(heartbeat_interval=None) as pair, pair.monitor() as events:
        async with raw_peer(pair.bind(wire_endpoint)) as raw:
            await raw.shake_hands(b"PAIR")
            await raw.say(command(b"PING", b"\x00\x01"))
            assert await raw.hear_frame() == (4, b"\x04PONG")
            await raw.hear_end()
        reason = (await next_event(events, mq.Disconnected)).reason
        assert "nothing received for 0.1 s, the TTL in the peer's last PING" in reason


async def test_a_time_to_live_told_with_the_last_step_of_the_handshake_counts(
    wire_endpoint: str, deadline: None
) -> None:
    pair = mq.Pair(heartbeat_interval=None)
    async with pair, pair.monitor() as events, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.say(opening(b"PAIR") + command(b"PING", b"\x00\x01"))
        assert "TTL" in (await next_event(events, mq.Disconnected)).reason


@pytest.mark.parametrize("sign", [frame(b"alive"), command(b"PING", b"\x00\x00"), command(b"PONG")], ids=str)
async def test_whatever_comes_after_a_ping_takes_its_word_back(
    wire_endpoint: str, sign: bytes, deadline: None
) -> None:
    pair = mq.Pair(heartbeat_interval=None)
    async with pair, pair.monitor() as events, raw_peer(pair.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PAIR")
        await raw.say(command(b"PING", b"\x00\x01"))
        assert await raw.hear_frame() == (4, b"\x04PONG")
        await raw.say(sign)
        await heartbeats(LONG_ENOUGH, BEAT)
        nothing_ended(events)


async def test_each_ping_starts_its_time_anew(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pair(heartbeat_interval=None) as pair, pair.monitor() as events:
        async with raw_peer(pair.bind(wire_endpoint)) as raw:
            await raw.shake_hands(b"PAIR")
            for _ in range(LONG_ENOUGH):
                await raw.say(command(b"PING", b"\x00\x02"))
                await heartbeats(1, BEAT)
            nothing_ended(events)
            await raw.hear_end()
        assert "TTL" in (await next_event(events, mq.Disconnected)).reason


async def test_a_time_to_live_ends_nobody_while_our_own_inbox_is_full(wire_endpoint: str, deadline: None) -> None:
    pull = mq.Pull(heartbeat_interval=None, receive_hwm=5)
    async with pull, pull.monitor() as events, raw_peer(pull.bind(wire_endpoint)) as raw:
        await raw.shake_hands(b"PUSH")
        await raw.say(command(b"PING", b"\x00\x01") + b"".join(frame(b"%d" % number) for number in range(20)))
        await until(lambda: pull.statistics().queued_in == 5)
        await heartbeats(LONG_ENOUGH, BEAT)
        nothing_ended(events)
        assert [await pull.receive() for _ in range(20)] == [b"%d" % number for number in range(20)]
        await raw.say(frame(b"and on"))
        assert await pull.receive() == b"and on"


async def test_a_run_that_is_held_up_lets_nobody_go_whom_it_has_yet_to_hear(
    wire_endpoint: str, deadline: None
) -> None:
    one, other = mq.Push(heartbeat_interval=0.05, heartbeat_ttl=0.1), mq.Pull(heartbeat_interval=None)
    async with married(other, one, wire_endpoint), other.monitor() as events:
        for number in range(5):
            await one.send(b"%d" % number)
            assert await other.receive() == b"%d" % number
            time.sleep(0.2)  # noqa: ASYNC251  what a careless user does
            await heartbeats(3, BEAT)
        nothing_ended(events)


# -- libzmq ------------------------------------------------------------------------------------------------


@pytest.fixture
def pair_of_libzmq() -> Any:
    """A PAIR socket of libzmq, not connected yet."""
    context = zmq.Context()
    pair = context.socket(zmq.PAIR)
    yield pair
    pair.close(0)
    context.destroy(0)


async def test_libzmq_is_answered_when_it_asks(
    wire_endpoint: str, pair_of_libzmq: zmq.Socket[bytes], deadline: None
) -> None:
    pair_of_libzmq.setsockopt(zmq.HEARTBEAT_IVL, 20)
    pair_of_libzmq.setsockopt(zmq.HEARTBEAT_TIMEOUT, 1000)
    async with mq.Pair(heartbeat_interval=None) as pair, pair.monitor() as events:
        pair_of_libzmq.connect(pair.bind(wire_endpoint))
        await pair.wait_connected()
        before = pair.statistics().bytes_in
        await until(lambda: pair.statistics().bytes_in >= before + LONG_ENOUGH * 9)
        await until(lambda: pair.statistics().bytes_out >= LONG_ENOUGH * 7)
        nothing_ended(events)
        await pair.send(b"hello")
        assert await trio.to_thread.run_sync(pair_of_libzmq.recv) == b"hello"


async def test_libzmq_answers_when_it_is_asked(
    wire_endpoint: str, pair_of_libzmq: zmq.Socket[bytes], deadline: None
) -> None:
    async with mq.Pair(**FAST) as pair, pair.monitor() as events:
        pair_of_libzmq.connect(pair.bind(wire_endpoint))
        await pair.wait_connected()
        await until(lambda: pair.statistics().bytes_in >= LONG_ENOUGH * 7)
        nothing_ended(events)
        pair_of_libzmq.send(b"hello")
        assert await pair.receive() == b"hello"


async def test_libzmq_that_is_slow_is_kept(wire_endpoint: str, deadline: None) -> None:
    async with libzmq(zmq.PULL, RCVHWM=1, RCVBUF=65536) as theirs, mq.Push(**FAST) as push, push.monitor() as events:
        push.connect(theirs.bind(wire_endpoint))
        await push.wait_connected()
        for _ in range(60):
            await push.send(bytes(10_000))
        for _ in range(60):
            await theirs.receive()
            await trio.sleep(0.01)
        nothing_ended(events)


async def test_libzmq_with_a_time_to_live_is_kept_as_long_as_it_lives(
    wire_endpoint: str, pair_of_libzmq: zmq.Socket[bytes], deadline: None
) -> None:
    for option, milliseconds in [(zmq.HEARTBEAT_IVL, 50), (zmq.HEARTBEAT_TIMEOUT, 10_000), (zmq.HEARTBEAT_TTL, 300)]:
        pair_of_libzmq.setsockopt(option, milliseconds)
    async with mq.Pair(heartbeat_interval=None) as pair, pair.monitor() as events:
        pair_of_libzmq.connect(pair.bind(wire_endpoint))
        await pair.wait_connected()
        await heartbeats(2 * LONG_ENOUGH, BEAT)
        nothing_ended(events)
        pair_of_libzmq.send(b"hello")
        assert await pair.receive() == b"hello"


async def test_libzmq_keeps_us_with_a_time_to_live_while_it_sends_and_we_do_not(
    wire_endpoint: str, pair_of_libzmq: zmq.Socket[bytes], deadline: None
) -> None:
    async with mq.Pair(heartbeat_interval=0.2, heartbeat_ttl=0.3) as pair, pair.monitor() as events:
        pair_of_libzmq.connect(pair.bind(wire_endpoint))
        await pair.wait_connected()
        for number in range(2 * LONG_ENOUGH):
            pair_of_libzmq.send(b"%d" % number)
            assert await pair.receive() == b"%d" % number
            await heartbeats(1, BEAT)
        nothing_ended(events)


async def test_libzmq_lets_us_go_when_we_outlive_our_time(
    wire_endpoint: str, pair_of_libzmq: zmq.Socket[bytes], deadline: None
) -> None:
    async with mq.Pair(heartbeat_interval=0.05, heartbeat_ttl=0.2) as pair, pair.monitor() as events:
        pair_of_libzmq.connect(pair.bind(wire_endpoint))
        await pair.wait_connected()
        await until(lambda: pair.statistics().bytes_in >= 100)
        time.sleep(1)  # noqa: ASYNC251  as good as dead
        await next_event(events, mq.Disconnected)
