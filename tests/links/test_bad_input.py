"""What can a bad peer do to a socket? Lose its own connection, and nothing else."""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

import pytest
import trio

import mq

from ..conftest import next_event, until
from ..protocols.wire import SIGNATURE, command, frame, greeting, multipart, opening, ready
from .raw import Raw, good_company, heartbeats, messages, raw_peer, raw_server

READY = ready(Socket_Type=b"PUSH")
NOISE = random.Random(7).randbytes(4096)

NEVER_SHAKES_HANDS = {
    "random bytes": (NOISE, r"not ZMTP: received b.8\\xb4.*the flags b4"),
    "an http request": (b"GET / HTTP/1.1\r\nHost: me\r\n\r\n", r"not ZMTP.*received b'GET / HTTP.*looks like HTTP"),
    "a tls hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", r"not ZMTP.*x16.*looks like TLS"),
    "a zero": (b"\x00", r"not ZMTP.*x00.*a size of 0"),
    "an identity of a gigabyte": (b"\xff" + (2**30).to_bytes(8, "big") + b"\x00", r"not ZMTP.*xff.*1073741823 bytes"),
    "a ZMTP 2.0 peer of another type": (SIGNATURE + b"\x01\x02\x00\x00", r"PULL talks to PUSH, the peer is SUB"),
    "a ZMTP 2.0 peer without an identity": (SIGNATURE + b"\x01\x08\x04\x00", r"malformed identity frame: the flags 04"),
    "another mechanism": (greeting(b"CURVE"), r"mechanism mismatch: NULL here, the peer wants CURVE"),
    "another socket type": (opening(b"SUB"), r"PULL talks to PUSH, the peer is SUB"),
    "an unknown socket type": (opening(b"TEAPOT"), r"PULL talks to PUSH, the peer is TEAPOT"),
    "a message in the handshake": (greeting() + frame(b"early") + READY, r"5 bytes before the end of the handshake"),
    "an unknown command in the handshake": (greeting() + command(b"HELLO"), r"expected READY.*HELLO"),
    "an error in the handshake": (greeting() + command(b"ERROR", b"\x04full"), r"refused the handshake.*full"),
    "a malformed property": (greeting() + frame(b"\x05READY\x0bSocket", 4), r"malformed property"),
    "an endless command": (greeting() + b"\x06" + b"\x7f" * 8, r"oversize command"),
    "reserved flags": (greeting() + b"\xf8\x00", r"flags byte f8"),
}


@pytest.mark.parametrize(("data", "reason"), NEVER_SHAKES_HANDS.values(), ids=NEVER_SHAKES_HANDS.keys())
async def test_a_peer_that_cannot_shake_hands_is_sent_away_with_the_reason(
    wire_endpoint: str, data: bytes, reason: str, deadline: None
) -> None:
    async with good_company(wire_endpoint) as company, raw_peer(company.endpoint) as raw:
        await raw.say(data)
        event = await company.event(mq.HandshakeFailed)
        assert event.endpoint == company.endpoint
        assert event.peer
        await company.talk()
        assert (await raw.hear_end()).startswith(SIGNATURE)
        await company.talk()
    assert_reason(event.reason, reason)


def assert_reason(text: str, pattern: str) -> None:
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


GIVES_UP = {
    "nothing": (b"", "signature"),
    "half a signature": (SIGNATURE[:5], "signature"),
    "a signature": (SIGNATURE, "version"),
    "half a greeting of ZMTP 2.0": (SIGNATURE + b"\x01", "socket type"),
    "half an identity of ZMTP 1.0": (b"\x0b\x00half", "identity's body"),
    "half a greeting": (greeting()[:30], "mechanism"),
    "a greeting": (greeting(), "READY"),
    "half a READY": (greeting() + READY[:10], "8 of the 26 bytes of a frame"),
    "half a header": (greeting() + b"\x06\x00\x00", "3 bytes of a frame's header"),
}


@pytest.mark.parametrize(("data", "reason"), GIVES_UP.values(), ids=GIVES_UP.keys())
async def test_a_peer_that_ends_in_the_handshake_is_reported_with_how_far_it_came(
    wire_endpoint: str, data: bytes, reason: str, deadline: None
) -> None:
    async with good_company(wire_endpoint) as company, raw_peer(company.endpoint) as raw:
        await raw.say(data)
        await raw.stream.send_eof()
        event = await company.event(mq.HandshakeFailed)
        await raw.hear_end()
        await company.talk()
    assert "closed the connection in the handshake" in event.reason
    assert reason in event.reason


@pytest.mark.parametrize(("data", "reason"), GIVES_UP.values(), ids=GIVES_UP.keys())
async def test_a_peer_that_falls_silent_in_the_handshake_is_sent_away(
    wire_endpoint: str, data: bytes, reason: str, deadline: None
) -> None:
    async with good_company(wire_endpoint, handshake_timeout=0.2) as company, raw_peer(company.endpoint) as raw:
        await raw.say(data)
        event = await company.event(mq.HandshakeFailed)
        await raw.hear_end()
        await company.talk()
    assert "no complete handshake within 0.2 s" in event.reason
    assert reason in event.reason


HUGE = b"\x02" + (2**62).to_bytes(8, "big")

BREAKS_OFF = {
    "a frame over the limit": (frame(b"x" * 101), "oversize message: 101 bytes announced, the limit is 100"),
    "frames over the limit": (multipart(b"x" * 60, b"y" * 60), "60 bytes announced after 60 in earlier frames"),
    "a frame of four exabytes": (HUGE, "oversize message: 4611686018427387904 bytes"),
    "endless empty frames": (frame(b"", 1) * 200, "oversize message"),
    "reserved flags": (b"\x80\x01x", "flags byte 80"),
    "a malformed command": (frame(b"\x09PING", 4), "malformed command"),
    "a malformed ping": (command(b"PING", b"\x00"), "malformed PING"),
    "an error": (command(b"ERROR", b"\x07go away"), "ERROR 'go away'"),
}


@pytest.mark.parametrize(("data", "reason"), BREAKS_OFF.values(), ids=BREAKS_OFF.keys())
@pytest.mark.parametrize("before", [0, 100])
async def test_a_peer_that_breaks_the_protocol_loses_its_connection_but_no_message(
    wire_endpoint: str, before: int, data: bytes, reason: str, deadline: None
) -> None:
    async with good_company(wire_endpoint, max_message_size=100) as company, raw_peer(company.endpoint) as raw:
        await raw.shake_hands(b"PUSH")
        await raw.say(messages(0, before) + data)
        for number in range(before):
            assert await company.pull.receive() == b"raw %d" % number
        event = await company.event(mq.Disconnected)
        await company.talk()
        assert await raw.hear_end() == b""
    assert reason in event.reason
    assert event.peer


async def test_what_came_with_the_handshake_counts_even_when_a_fault_follows_in_the_same_bytes(
    wire_endpoint: str, deadline: None
) -> None:
    async with good_company(wire_endpoint, max_message_size=100) as company, raw_peer(company.endpoint) as raw:
        await raw.say(opening(b"PUSH") + messages(0, 3) + frame(b"x" * 101))
        for number in range(3):
            assert await company.pull.receive() == b"raw %d" % number
        event = await company.event(mq.Disconnected)
        await raw.hear_end()
    assert "oversize" in event.reason


MID_FRAME = {
    "a frame": (b"\x00\x64hello", "5 of the 100 bytes of a frame had arrived"),
    "a long frame": (b"\x02" + bytes(6) + b"\x10\x00hello", "5 of the 4096 bytes of a frame had arrived"),
    "a header": (b"\x02\x00\x00", "3 bytes of a frame's header had arrived"),
    "a message": (frame(b"a", 1) * 2, "2 frames of a message had arrived"),
    "a frame of four exabytes": (HUGE + b"hello", "5 of the 4611686018427387904 bytes"),
}


@pytest.mark.parametrize(("data", "reason"), MID_FRAME.values(), ids=MID_FRAME.keys())
async def test_a_peer_that_closes_in_the_middle_of_a_message_leaves_nothing_of_it(
    wire_endpoint: str, data: bytes, reason: str, deadline: None
) -> None:
    async with good_company(wire_endpoint) as company:
        async with raw_peer(company.endpoint) as raw:
            await raw.shake_hands(b"PUSH")
            await raw.say(messages(0, 10) + data)
            for number in range(10):
                assert await company.pull.receive() == b"raw %d" % number
            await company.talk()
        event = await company.event(mq.Disconnected)
        with pytest.raises(trio.WouldBlock):
            company.pull.receive_multipart_nowait()
    assert "the peer closed the connection" in event.reason
    assert reason in event.reason


@pytest.mark.parametrize(("data", "reason"), MID_FRAME.values(), ids=MID_FRAME.keys())
async def test_a_peer_that_falls_silent_in_the_middle_of_a_message_is_sent_away(
    wire_endpoint: str, data: bytes, reason: str, deadline: None
) -> None:
    options = {"heartbeat_interval": 0.1, "heartbeat_timeout": 0.2}
    async with good_company(wire_endpoint, **options) as company, raw_peer(company.endpoint) as raw:
        await raw.shake_hands(b"PUSH")
        await raw.say(data)
        event = await company.event(mq.Disconnected)
        assert set((await raw.hear_end()).split(b"\x04\x07\x04PING\x00\x00")) == {b""}
        await company.talk()
    assert "heartbeat" in event.reason
    assert reason in event.reason


async def test_a_frame_announced_larger_than_any_memory_takes_none(wire_endpoint: str, deadline: None) -> None:
    async with good_company(wire_endpoint) as company:
        async with raw_peer(company.endpoint) as raw:
            await raw.shake_hands(b"PUSH")
            await raw.say(HUGE + b"start")
            for _ in range(20):
                await raw.say(b"more" * 1000)
                await company.talk(10)
        assert "of the 4611686018427387904 bytes" in (await company.event(mq.Disconnected)).reason


async def test_a_peer_that_is_cut_off_is_reported(wire_endpoint: str, deadline: None) -> None:
    async with good_company(wire_endpoint) as company:
        async with raw_peer(company.endpoint) as raw:
            await raw.shake_hands(b"PUSH")
            raw.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert (await company.event(mq.Disconnected)).reason
        await company.talk()


# -- many --------------------------------------------------------------------------------------------------


@pytest.fixture
def descriptors() -> Iterator[Callable[[], int]]:
    """Room for some thousand descriptors, and a way to count those in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    yield lambda: len(os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def only_so_many_more_descriptors(count: int) -> Iterator[None]:
    """Let this process open ``count`` more descriptors, and no further one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)  # all below are taken
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_listener_that_is_out_of_descriptors_says_so_and_goes_on(wire_endpoint: str, deadline: None) -> None:
    async with good_company(wire_endpoint) as company, AsyncExitStack() as stack:
        with only_so_many_more_descriptors(1):
            raw = await stack.enter_async_context(raw_peer(company.endpoint))
            assert "open files" in (await company.event(mq.AcceptFailed)).reason
            await company.talk()
        await raw.shake_hands(b"PUSH")
        await company.event(mq.Handshaken)


async def test_who_is_out_of_descriptors_cannot_bind_and_connects_later(wire_endpoint: str, deadline: None) -> None:
    async with mq.Pull() as pull, mq.Push(reconnect_interval=0.01) as push, push.monitor() as events:
        endpoint = pull.bind(wire_endpoint)
        with only_so_many_more_descriptors(0):
            with pytest.raises(mq.BindError, match="open files"):
                push.bind(wire_endpoint)
            push.connect(endpoint)
            assert "open files" in (await next_event(events, mq.ConnectDelayed)).reason
        await push.send(b"hello")
        assert await pull.receive() == b"hello"


CROWD = 1000


@pytest.mark.parametrize("data", [b"", greeting()], ids=["nothing", "a greeting"])
async def test_a_thousand_peers_that_say_nothing_more_than_this_disturb_nobody(
    wire_endpoint: str, descriptors: Callable[[], int], data: bytes, deadline: None
) -> None:
    before = descriptors()
    async with good_company(wire_endpoint) as company:
        quiet = descriptors()
        async with trio.open_nursery() as nursery:
            for number in range(CROWD):
                await nursery.start(stay, company.endpoint, data)
                if not number % 100:
                    await company.talk(10)
            for _ in range(CROWD):
                await company.event(mq.Accepted)
            assert descriptors() >= quiet + 2 * CROWD
            await company.talk(1000)
            nursery.cancel_scope.cancel()
        for _ in range(CROWD):
            await company.event(mq.HandshakeFailed)
        await company.talk()
        assert len(company.pull.statistics().peers) == 1
        await until(lambda: descriptors() == quiet)
    await until(lambda: descriptors() <= before)


async def stay(endpoint: str, data: bytes, task_status: trio.TaskStatus[None]) -> None:
    async with raw_peer(endpoint) as raw:
        await raw.say(data)
        task_status.started()
        await trio.sleep_forever()


async def test_silent_peers_are_sent_away_in_time_however_many_they_are(
    wire_endpoint: str, descriptors: Callable[[], int], deadline: None
) -> None:
    async with good_company(wire_endpoint, handshake_timeout=0.3) as company:
        quiet = descriptors()
        async with trio.open_nursery() as nursery:
            for _ in range(CROWD // 5):
                await nursery.start(stay, company.endpoint, b"")
            for _ in range(CROWD // 5):
                assert "no complete handshake" in (await company.event(mq.HandshakeFailed)).reason
            await until(lambda: descriptors() == quiet + CROWD // 5)  # their own side of each
            await company.talk()
            nursery.cancel_scope.cancel()


# -- a bad server ------------------------------------------------------------------------------------------


async def say_garbage(raw: Raw) -> None:
    await raw.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await raw.hear_end()


async def say_nothing_and_leave(raw: Raw) -> None:
    await raw.hear(10)


async def say_another_mechanism(raw: Raw) -> None:
    await raw.say(greeting(b"PLAIN"))
    await raw.hear_end()


async def say_another_type(raw: Raw) -> None:
    await raw.say(opening(b"REP"))
    await raw.hear_end()


async def stay_silent(raw: Raw) -> None:
    await raw.hear_end()


BAD_SERVERS: list[tuple[Callable[[Raw], Awaitable[None]], str]] = [
    (say_garbage, "HTTP/1.1"),
    (say_nothing_and_leave, "closed the connection in the handshake"),
    (say_another_mechanism, "PLAIN"),
    (say_another_type, "REP"),
    (stay_silent, "no complete handshake"),
]


@pytest.mark.parametrize(("serve", "reason"), BAD_SERVERS)
async def test_a_connecting_socket_tries_on_until_a_good_server_is_there(
    wire_endpoint: str, serve: Callable[[Raw], Awaitable[None]], reason: str, deadline: None
) -> None:
    options = {"reconnect_interval": 0.01, "reconnect_interval_max": 0.05, "handshake_timeout": 0.3}
    async with mq.Push(**options) as push, push.monitor() as events:  # type: ignore[arg-type]
        async with raw_server(wire_endpoint, serve) as endpoint:
            push.connect(endpoint)
            for number in range(10):
                await push.send(b"%d" % number)
            for _ in range(3):
                event = await next_event(events, mq.HandshakeFailed)
                assert reason in event.reason
                assert event.endpoint == endpoint
                await next_event(events, mq.ConnectRetried)
        await next_event(events, mq.ConnectDelayed)
        async with mq.Pull() as pull:
            pull.bind(endpoint)
            for number in range(10):
                assert await pull.receive() == b"%d" % number
            await push.send(b"last")
            assert await pull.receive() == b"last"


@pytest.mark.parametrize("ours", [mq.Push, mq.Scatter, mq.Pub, mq.Radio])
async def test_a_flood_to_a_socket_that_does_not_receive_ends_with_the_connection(
    wire_endpoint: str, ours: type[mq.Socket], deadline: None
) -> None:
    peer = {"PUSH": b"PULL", "SCATTER": b"GATHER", "PUB": b"SUB", "RADIO": b"DISH"}[ours.socket_type]
    async with ours(receive_hwm=10) as socket:
        async with raw_peer(socket.bind(wire_endpoint)) as raw:
            await raw.shake_hands(peer)
            await raw.say(messages(0, 1000))
            await until(lambda: sum(socket.statistics().dropped.values()) == 1000)
        await until(lambda: not socket.statistics().peers)


async def test_peers_that_come_and_go_cannot_fill_the_memory_of_a_socket_that_nobody_reads(
    wire_endpoint: str, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    monkeypatch.setattr("mq.peers._MOST_GONE", 3)
    async with mq.Pull() as pull, pull.monitor() as events:
        endpoint = pull.bind(wire_endpoint)
        for count in range(1, 6):  # a listener that waited before the fourth had left lets the fifth in
            async with raw_peer(endpoint) as raw:
                await raw.shake_hands(b"PUSH")
                await raw.say(messages(0, 10))
            await until(lambda count=count: _gone_and_left(pull) == 10 * count)  # type: ignore[misc]
        failed = await next_event(events, mq.AcceptFailed)
        assert failed.endpoint == endpoint
        assert failed.reason.startswith("messages of 4 ended connections wait to be received")
        async with raw_peer(endpoint) as raw:
            await raw.say(opening(b"PUSH"))
            await heartbeats(5, 0.02)
            assert raw.hears_nothing()
            for _ in range(50):
                await pull.receive()
            await raw.hear(64)
            await raw.say(frame(b"let in"))
            assert await pull.receive() == b"let in"


def _gone_and_left(pull: mq.Pull) -> int:
    """Return how many messages wait to be received when nobody is connected, else -1."""
    known = pull.statistics()
    return -1 if known.peers else known.queued_in
