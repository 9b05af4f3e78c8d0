"""What becomes of a peer that greets and hangs up, again and again? It is connected to less and less often."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

import mq

from ..conftest import next_event
from ..protocols.wire import frame, greeting
from .raw import Raw, raw_server
from .test_reconnect import assert_doubling, pauses, reserved

BRISK: dict[str, Any] = {"reconnect_interval": 0.001, "reconnect_interval_max": 1}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log of ``mq`` warns of."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("ours", ["SUB", "PUSH", "PUB"])
async def test_pauses_grow_when_a_peer_hangs_up_after_each_handshake(
    wire_endpoint: str, ours: str, caplog: pytest.LogCaptureFixture, deadline: None
) -> None:
    theirs = {"SUB": b"PUB", "PUSH": b"PULL", "PUB": b"SUB"}[ours]

    async def welcome_and_leave(raw: Raw) -> None:
        await raw.shake_hands(theirs)
        if ours == "PUB":
            await raw.say(frame(b"\x09SUBSCRIBEa", 4))
        if ours == "PUSH":
            await raw.hear_frame()

    kinds: dict[str, Any] = {"SUB": mq.Sub, "PUSH": mq.Push, "PUB": mq.Pub}
    socket = kinds[ours](linger=0, **BRISK)
    async with socket, socket.monitor() as events, raw_server(wire_endpoint, welcome_and_leave) as endpoint:
        if ours == "SUB":
            socket.subscribe(b"")
        socket.connect(endpoint)
        delays = []
        for _ in range(8):
            if ours == "PUSH":
                await socket.send(b"is taken by the kernel")
            delays += await pauses(events, 1)
        assert_doubling(delays, 0.001, 1)
    (said,) = warnings(caplog)
    assert f"{type(socket).__name__}: {endpoint}: the peer greets and hangs up, 3 times in a row: " in said


async def test_pauses_begin_anew_after_a_message(
    wire_endpoint: str, caplog: pytest.LogCaptureFixture, deadline: None
) -> None:
    async def say_one_thing(raw: Raw) -> None:
        await raw.shake_hands(b"PUSH")
        await raw.say(frame(b"one thing"))

    pull = mq.Pull(**BRISK)
    async with pull, pull.monitor() as events, raw_server(wire_endpoint, say_one_thing) as endpoint:
        pull.connect(endpoint)
        for delay in await pauses(events, 8):
            assert_doubling([delay], 0.001, 1)
    assert warnings(caplog) == []


async def test_pauses_begin_anew_after_a_connection_that_lived(
    wire_endpoint: str, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    count = 0

    async def leave_at_once_but_for_the_fifth_time(raw: Raw) -> None:
        nonlocal count
        count += 1
        await raw.shake_hands(b"PULL")
        if count == 5:
            await raw.hear_frame()

    push = mq.Push(**BRISK)
    server = raw_server(wire_endpoint, leave_at_once_but_for_the_fifth_time)
    async with push, push.monitor() as events, server as endpoint:
        push.connect(endpoint)
        assert_doubling(await pauses(events, 4), 0.001, 1)
        await next_event(events, mq.Handshaken)
        monkeypatch.setattr("mq.links.backoff.SETTLED", 0.0)
        await push.send(b"goodbye")
        assert_doubling(await pauses(events, 1), 0.001, 1)


async def test_a_handshake_after_nobody_was_there_begins_pauses_anew(wire_endpoint: str, deadline: None) -> None:
    async def welcome_and_leave(raw: Raw) -> None:
        await raw.shake_hands(b"PULL")

    push = mq.Push(**BRISK)
    async with push, push.monitor() as events:
        endpoint = await reserved(wire_endpoint)
        push.connect(endpoint)
        assert_doubling(await pauses(events, 6), 0.001, 1)
        async with raw_server(endpoint, welcome_and_leave):
            await next_event(events, mq.Disconnected)
            assert_doubling(await pauses(events, 4), 0.001, 1)


async def test_handshakes_that_fail_again_and_again_are_said_once(
    wire_endpoint: str, caplog: pytest.LogCaptureFixture, deadline: None
) -> None:
    async def want_curve(raw: Raw) -> None:
        await raw.say(greeting(b"CURVE"))
        await raw.hear_end()

    push = mq.Push(**BRISK)
    async with push, push.monitor() as events, raw_server(wire_endpoint, want_curve) as endpoint:
        push.connect(endpoint)
        assert_doubling(await pauses(events, 7), 0.001, 1)
    (said,) = warnings(caplog)
    assert f"{endpoint}: the handshake fails, 3 times in a row: mechanism mismatch: " in said
    assert "CURVE" in said


async def test_within_the_process_pauses_grow_too(caplog: pytest.LogCaptureFixture, deadline: None) -> None:
    async with mq.Router() as router, mq.Dealer(**BRISK) as dealer, dealer.monitor() as events:
        router.bind("inproc://hangs-up")
        dealer.connect("inproc://hangs-up")
        delays = []
        for _ in range(6):
            await dealer.send(b"here I am")
            name, _ = await router.receive_multipart()
            await router.wait_connected()
            router.disconnect_peer(name)
            delays += await pauses(events, 1)
        assert_doubling(delays, 0.001, 1)
    assert len(warnings(caplog)) == 1


async def test_who_waits_learns_that_the_peer_hangs_up(
    wire_endpoint: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    async def welcome_and_leave(raw: Raw) -> None:
        await raw.shake_hands(b"PUB")

    monkeypatch.setattr("mq.peers.PATIENCE", 0.02)
    sub = mq.Sub(reconnect_interval=0.5, reconnect_jitter=0)
    async with sub, sub.monitor() as events, raw_server(wire_endpoint, welcome_and_leave) as endpoint:
        sub.subscribe(b"")
        sub.connect(endpoint)
        await next_event(events, mq.Disconnected)
        with trio.move_on_after(0.1):
            await sub.receive()
    (said,) = warnings(caplog)
    assert "Sub.receive() waits: " in said
    assert "is not reached: the last connection ended: " in said
