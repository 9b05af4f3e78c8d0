"""Does a socket that lives for long stay as small as it was? Peers come, fail in every way, and go."""

from __future__ import annotations

import gc
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from trio._core._run import GLOBAL_RUN_CONTEXT
from trio.testing import wait_all_tasks_blocked

import mq
from mq import reasons

from ..conftest import next_event, until
from ..protocols.wire import frame, greeting, opening
from .raw import Raw, raw_peer, raw_server


def break_off(number: int) -> bytes:
    """Return the last bytes of a peer; each contains a number that the peer chooses."""
    error = b"\x05ERROR\x08%08d" % number
    return (
        frame(bytes(100 + number))[:-1],
        frame(error, 4),
        b"\x06" + (2_000_000 + number).to_bytes(8, "big"),  # a command that is too long
        bytes([0x40 + number % 64, 1]),  # flags that do not exist
    )[number % 4]


async def test_what_peers_say_last_makes_no_reasons_in_dropped(wire_endpoint: str, deadline: None) -> None:
    async with mq.Dealer(linger=0, send_buffer=4096) as dealer, dealer.monitor() as events:
        address = dealer.bind(wire_endpoint)
        told = set()
        for number in range(24):
            async with raw_peer(address) as raw:
                await raw.shake_hands(b"DEALER")
                await dealer.wait_connected()
                for _ in range(4):
                    dealer.send_nowait(bytes(4_000_000))  # the peer does not read them
                await raw.say(break_off(number))
                await raw.stream.aclose()
            told.add((await next_event(events, mq.Dropped)).reason)
        assert list(dealer.statistics().dropped) == ["the connection ended"]
        assert dealer.statistics().dropped["the connection ended"] >= 24
        assert len(told) > 12


# -- a day of strangers ------------------------------------------------------------------------------------


async def weight() -> int:
    """Return how many objects there are that can hold others, and how many these hold, once all tasks have ended."""
    await wait_all_tasks_blocked()
    GLOBAL_RUN_CONTEXT.runner.deadlines._prune()  # Trio keeps up to a thousand time limits that are over
    gc.collect()
    objects = gc.get_objects()
    return len(objects) + sum(len(each) for each in objects if isinstance(each, (dict, list, set, deque)))


async def assert_no_growth(round_of: Callable[[int], Awaitable[None]], rounds: int) -> None:
    """Let ``rounds`` pass, and as many again three times: those must leave nothing behind."""
    for number in range(rounds):
        await round_of(number)
    before = await weight()
    for number in range(rounds, 4 * rounds):
        await round_of(number)
    after = await weight()
    assert after - before < rounds, f"{after - before} things are left of {3 * rounds} rounds"


PEERS = {
    "PAIR": b"PAIR", "PUB": b"SUB", "XPUB": b"SUB", "SUB": b"PUB", "XSUB": b"PUB", "REQ": b"REP", "REP": b"REQ",
    "DEALER": b"ROUTER", "ROUTER": b"DEALER", "PULL": b"PUSH", "PUSH": b"PULL", "CLIENT": b"SERVER",
    "SERVER": b"CLIENT", "RADIO": b"DISH", "DISH": b"RADIO", "PEER": b"PEER",
}  # fmt: skip
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "Pair": (mq.Pair, {}),
    "Pub": (mq.Pub, {}),
    "XPub": (mq.XPub, {}),
    "XPub by hand": (mq.XPub, {"xpub_manual": True}),
    "Sub": (mq.Sub, {}),
    "XSub": (mq.XSub, {}),
    "Req": (mq.Req, {}),
    "Rep": (mq.Rep, {}),
    "Dealer": (mq.Dealer, {}),
    "Router": (mq.Router, {}),
    "Pull": (mq.Pull, {}),
    "Push": (mq.Push, {}),
    "Client": (mq.Client, {}),
    "Server": (mq.Server, {}),
    "Radio": (mq.Radio, {}),
    "Dish": (mq.Dish, {}),
    "Peer": (mq.Peer, {}),
}


LASTING: dict[str, Any] = {"linger": 0, "heartbeat_interval": None}


def last_words(socket_type: str, number: int) -> bytes:
    """Return all that a stranger says: what it is, and for which reason it fails, is another one each time."""
    name = b"%08d" % number
    fits = opening(PEERS[socket_type])
    return (
        b"GET /%s HTTP/1.1\r\n\r\n" % name,
        greeting()[: number % 64],
        greeting(b"CURVE"),
        opening(b"NONE%s" % name),
        fits,
        fits + b"\x06" + (2_000_000 + number).to_bytes(8, "big"),
        fits + frame(b"\x05ERROR\x08" + name, 4),
        fits + frame(b"\x09SUBSCRIBE" + name, 4) + frame(b"\x04JOIN" + name, 4),
    )[number % 8]


@pytest.mark.parametrize("kind", KINDS)
async def test_peers_that_come_fail_and_go_leave_nothing(kind: str, tmp_path: Path, deadline: None) -> None:
    make, options = KINDS[kind]
    async with make(**LASTING, **options) as socket, socket.monitor() as events:
        address = socket.bind(f"ipc://{tmp_path}/day")

        async def strangers(number: int) -> None:
            for each in range(8 * number, 8 * number + 8):
                async with raw_peer(address) as raw:
                    await raw.say(last_words(socket.socket_type, each))
            for _ in range(8):
                while not isinstance(await events.receive(), (mq.HandshakeFailed, mq.Disconnected)):
                    pass
            with suppress(AttributeError, trio.WouldBlock, mq.OutOfTurn):  # a program would receive what it can
                while "XPub" not in kind:
                    socket.receive_nowait()

        await assert_no_growth(strangers, 8)


@pytest.mark.parametrize("options", [{}, {"xpub_verboser": True}, {"xpub_manual": True}], ids=str)
async def test_what_an_xpub_was_asked_for_is_not_kept_for_ever_when_nobody_receives_it(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    monkeypatch.setattr("mq.patterns.xpubxsub._MOST_LEFT", 20)
    async with mq.XPub(**LASTING, **options) as xpub, xpub.monitor() as events:
        address = xpub.bind(f"ipc://{tmp_path}/xpub")
        for number in range(100):
            async with raw_peer(address) as raw:
                await raw.shake_hands(b"SUB")
                await raw.say(frame(b"\x09SUBSCRIBE%d" % number, 4))
                await until(lambda: xpub.statistics().queued_in > 0)
            await next_event(events, mq.Disconnected)
            await until(lambda: not xpub.statistics().peers)
        counted = xpub.statistics()
        assert 40 <= counted.queued_in <= 80  # a subscription and its end, of 20 to 40 peers
        assert counted.queued_in + counted.dropped[reasons.UNRECEIVED] == 200
        left = [await xpub.receive() for _ in range(counted.queued_in)]
        first = 100 - counted.queued_in // 2
        assert left == [request + b"%d" % number for number in range(first, 100) for request in (b"\x01", b"\x00")]
        with pytest.raises(trio.WouldBlock):
            xpub.receive_nowait()


# -- what is connected to ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Pair", "XPub", "Sub", "Req", "Router", "Push", "Server", "Dish"])
async def test_endpoints_that_were_connected_to_leave_nothing(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, deadline: None
) -> None:
    caplog.set_level(logging.CRITICAL, "mq")  # a line in the log would be kept for the report of the test
    make, options = KINDS[kind]

    async def leave(raw: Raw) -> None:
        with suppress(trio.BrokenResourceError):
            await raw.say(opening(PEERS[socket.socket_type]))

    socket = make(**LASTING, reconnect_interval=0.001, **options)
    async with socket, socket.monitor() as events:

        async def connect(number: int) -> None:
            nobody, hangs_up = f"ipc://{tmp_path}/nobody-{number}", f"ipc://{tmp_path}/{number}"
            async with raw_server(hangs_up, leave):
                for endpoint, trouble in (
                    (nobody, mq.ConnectDelayed), (hangs_up, mq.Disconnected), (f"inproc://nobody-{number}", None)
                ):  # fmt: skip
                    socket.connect(endpoint)
                    if trouble is not None:
                        await next_event(events, trouble)
                    socket.disconnect(endpoint)
                    await next_event(events, mq.Closed)
            await wait_all_tasks_blocked()
            with suppress(trio.WouldBlock):
                while True:
                    events.receive_nowait()

        await assert_no_growth(connect, 8)
        assert socket.statistics().peers == ()
        assert not socket._monitors.trouble


@pytest.mark.parametrize("kind", ["Dealer", "Sub", "Push"])
async def test_peers_within_the_process_leave_nothing(kind: str, deadline: None) -> None:
    binders: dict[str, Any] = {"Dealer": mq.Router, "Sub": mq.XPub, "Push": mq.Pull}
    async with binders[kind](linger=0) as binder:
        address = binder.bind(f"inproc://lasting-{kind}")

        async def meet(number: int) -> None:
            async with KINDS[kind][0](linger=0) as peer, mq.Rep() as misfit:
                peer.connect(address)
                misfit.connect(address)
                await binder.wait_connected()
                if kind == "Sub":
                    peer.subscribe(b"%d" % number)
                else:
                    await peer.send(b"%d" % number)
                await binder.receive_multipart()
            with suppress(trio.WouldBlock):
                while True:
                    binder.receive_multipart_nowait()

        await assert_no_growth(meet, 20)
