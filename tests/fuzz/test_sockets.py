"""Can any bytes do more to a socket than end the connection that brought them? Real sockets, and good peers beside."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest
import trio

import mq

from ..conftest import next_event
from ..links.raw import Raw, good_company, raw_peer, raw_server
from ..protocols.wire import SIGNATURE, command, greeting, opening, opening_2_0

STARTS = {
    "nothing": b"",
    "a signature": SIGNATURE,
    "a greeting": greeting(),
    "a handshake": opening(b"PUSH"),
    "a greeting of ZMTP 2.0": opening_2_0("PUSH"),
}
SOME = 40
"""Peers, one after the other, each with garbage of its own."""


def garbage(chance: random.Random) -> bytes:
    """Return a command that nobody knows, then bytes of which the first is no flags of ZMTP 2.0 or 3.x."""
    unknown = command(b"NOISE", chance.randbytes(chance.randrange(300)))
    return unknown + b"\xf8" + chance.randbytes(chance.randrange(9000))


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
async def test_a_bound_socket_that_hears_garbage_serves_its_good_peer(
    wire_endpoint: str, start: bytes, deadline: None
) -> None:
    chance = random.Random(start)
    async with good_company(wire_endpoint) as company:
        for _ in range(SOME):
            async with raw_peer(company.endpoint) as raw:
                with suppress(trio.BrokenResourceError):
                    await raw.say(start + garbage(chance))
                    await raw.stream.send_eof()
                await raw.hear_end()
            await company.talk(5)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
async def test_a_connecting_socket_that_hears_garbage_finds_the_good_server_later(
    wire_endpoint: str, start: bytes, deadline: None
) -> None:
    chance = random.Random(start)

    async def serve(raw: Raw) -> None:
        with suppress(trio.BrokenResourceError):
            await raw.say(start.replace(b"PUSH", b"PULL") + garbage(chance))
            await raw.stream.send_eof()
        await raw.hear_end()

    async with mq.Push(reconnect_interval=0, reconnect_interval_max=0) as push, push.monitor() as events:
        async with raw_server(wire_endpoint, serve) as endpoint:
            push.connect(endpoint)
            for _ in range(SOME):
                await next_event(events, (mq.HandshakeFailed, mq.Disconnected))  # type: ignore[arg-type]
        async with mq.Pull() as pull:
            pull.bind(endpoint)
            await push.send(b"hello")
            assert await pull.receive() == b"hello"


async def test_a_bound_stream_takes_any_bytes_as_they_come(wire_endpoint: str, deadline: None) -> None:
    chance = random.Random(8)
    async with mq.Stream() as stream:
        address = stream.bind(wire_endpoint)
        for start in list(STARTS.values()) * 8:
            data = start + garbage(chance)
            async with raw_peer(address) as raw:
                await raw.say(data)
                await raw.stream.send_eof()
                assert await _heard(stream) == data


async def test_a_connecting_stream_takes_any_bytes_as_they_come(wire_endpoint: str, deadline: None) -> None:
    chance = random.Random(9)
    for start in STARTS.values():
        data = start + garbage(chance)

        async def serve(raw: Raw, data: bytes = data) -> None:
            await raw.say(data)

        async with raw_server(wire_endpoint, serve) as endpoint, mq.Stream(reconnect_interval=None) as stream:
            stream.connect(endpoint)
            assert await _heard(stream) == data


async def _heard(stream: Any) -> bytes:
    """Receive all that one connection brings, from its coming to its going."""
    name, nothing = await stream.receive_multipart()
    assert nothing == b""
    heard = b""
    while True:
        sender, piece = await stream.receive_multipart()
        assert sender == name
        if not piece:
            return heard
        heard += piece
