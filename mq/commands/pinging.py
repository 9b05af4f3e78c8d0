"""How long does a round trip take? The command ping measures PING and PONG, or requests and their echoes."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ..patterns.raw import Stream
from ..patterns.reqrep import Req
from . import arguments
from .errors import Misused, Trouble
from .opening import opened_at
from .standard import write

_GREETING = b"\xff" + bytes(7) + b"\x01\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)

_COUNTERPARTS = {
    "ROUTER": "DEALER", "REP": "DEALER", "PULL": "PUSH", "PUB": "SUB", "XPUB": "SUB", "SUB": "PUB", "XSUB": "PUB",
    "SERVER": "CLIENT", "RADIO": "DISH", "DISH": "RADIO", "GATHER": "SCATTER",
}  # fmt: skip
"""The socket type that ping announces, by the type of the peer.

The missing types send messages to every new connection, or accept only one peer.
"""


def add_ping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("endpoint", metavar="ENDPOINT", help="endpoint at which the peer listens")
    parser.add_argument("--req", action="store_true", help="send requests to a rep --echo, instead of PING commands")
    parser.add_argument("-n", "--count", type=arguments.whole(1), default=5, metavar="N", help="default %(default)s")
    parser.add_argument("--interval", type=arguments.seconds, default=0.2, metavar="SECONDS",
                        help="pause between round trips (default %(default)s)")  # fmt: skip
    parser.add_argument("-t", "--timeout", type=arguments.seconds, default=2.0, metavar="SECONDS",
                        help="time limit for the handshake, and for each answer (default %(default)s)")  # fmt: skip
    parser.add_argument("--size", type=arguments.whole(0), default=16, metavar="BYTES",
                        help="size of a request, or of a PING context, at most 16 (default %(default)s)")  # fmt: skip
    arguments.socket(parser)


async def ping(chosen: argparse.Namespace) -> None:
    """Measure round trips, and write each time and a summary."""
    kind = Req if chosen.req else Stream
    binds, endpoint = arguments.split_endpoint(chosen.endpoint)
    if binds:
        raise Misused("ping connects: give the endpoint without @")
    options = {"linger": 0.0, **arguments.options(chosen)}
    async with opened_at(kind, options, [(False, endpoint)], verbose=chosen.verbose) as socket:
        with trio.move_on_after(chosen.timeout) as scope:
            await socket.wait_connected()
            about, probe = await (_requests if chosen.req else _pings)(socket, chosen.size)
        if scope.cancelled_caught:
            raise Trouble(f"{endpoint} was not reached within {chosen.timeout:g} s, or did not speak ZMTP")
        await write(f"PING {endpoint}: {about}\n".encode())
        times = await _measure(chosen, probe)
    await _summarize(chosen.count, times)


async def _measure(chosen: argparse.Namespace, probe: Callable[[int], Awaitable[None]]) -> list[float]:
    times: list[float] = []
    for number in range(1, chosen.count + 1):
        if number > 1:
            await trio.sleep(chosen.interval)
        started = time.perf_counter()
        with trio.move_on_after(chosen.timeout) as scope:
            await probe(number)
        if scope.cancelled_caught:
            await write(f"{number}: no answer within {chosen.timeout:g} s\n".encode())
            continue
        times.append((time.perf_counter() - started) * 1000)
        await write(f"{number}: {times[-1]:.3f} ms\n".encode())
    return times


async def _summarize(count: int, times: list[float]) -> None:
    lost = 100 * (count - len(times)) / count
    text = f"{count} sent, {len(times)} answered, {lost:.0f} % lost\n"
    if times:
        spread = statistics.pstdev(times)
        text += (
            f"min {min(times):.3f}, median {statistics.median(times):.3f}, mean {statistics.fmean(times):.3f}, "
            f"max {max(times):.3f}, deviation {spread:.3f} ms\n"
        )
    await write(text.encode())
    if not times:
        raise Trouble("no answer")


async def _requests(socket: Any, size: int) -> tuple[str, Callable[[int], Awaitable[None]]]:
    body = bytes(size)

    async def probe(_: int) -> None:
        await socket.request_multipart([body])

    return f"requests of {size} bytes", probe


# -- PING and PONG (RFC 37) over a Stream ----------------------------------------------------------------------


async def _pings(socket: Any, size: int) -> tuple[str, Callable[[int], Awaitable[None]]]:
    wire = _Wire(socket)
    await wire.write(_GREETING)
    greeting = await wire.read(64)
    if greeting[:1] != b"\xff" or greeting[9:10] != b"\x7f" or greeting[10] < 3:
        raise Trouble("the peer does not speak ZMTP 3, and earlier versions have no PING")
    mechanism = greeting[12:32].rstrip(b"\0").decode(errors="replace")
    if mechanism != "NULL":
        raise Trouble(f"the peer uses the mechanism {mechanism}, and ping supports only NULL: try --req")
    _, ready = await wire.command()
    peer = _socket_type(ready)
    if peer not in _COUNTERPARTS:
        raise Trouble(
            f"ping refuses a peer of type {peer or 'unknown'}: it sends to every new connection, or accepts only one"
        )
    own = _COUNTERPARTS[peer].encode()
    properties = b"\x0bSocket-Type" + len(own).to_bytes(4, "big") + own
    await wire.write(_command(b"\x05READY" + properties))
    context_size = min(size, 16)

    async def probe(number: int) -> None:
        context = number.to_bytes(16, "big")[16 - context_size :]
        await wire.write(_command(b"\x04PING\0\0" + context))
        while True:
            flags, body = await wire.command()
            if flags & 4 and body == b"\x04PONG" + context:
                return

    return f"{peer}, ZMTP {greeting[10]}.{greeting[11]}, {mechanism}", probe


def _command(body: bytes) -> bytes:
    return bytes((4, len(body))) + body


def _socket_type(ready: bytes) -> str:
    """Return the socket type that a READY command states, or ""."""
    rest = ready.removeprefix(b"\x05READY")
    while rest:
        name, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        size = int.from_bytes(rest[:4], "big")
        value, rest = rest[4 : 4 + size], rest[4 + size :]
        if name.lower() == b"socket-type":
            return value.decode(errors="replace")
    return ""


class _Wire:
    """Reads and writes the bytes of the only connection of a Stream."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._address = b""
        self._rest = b""

    async def write(self, data: bytes) -> None:
        while not self._address:
            await self._more()
        await self._socket.send_multipart([self._address, data])

    async def read(self, count: int) -> bytes:
        while len(self._rest) < count:
            await self._more()
        data, self._rest = self._rest[:count], self._rest[count:]
        return data

    async def _more(self) -> None:
        address, data = await self._socket.receive_multipart()
        if not data and self._address:
            raise Trouble("the peer ended the connection")
        self._address = address
        self._rest += data

    async def command(self) -> tuple[int, bytes]:
        """Return the flags and the body of the next frame."""
        flags, size = await self.read(2)
        if flags & 2:
            size = int.from_bytes(bytes((size,)) + await self.read(7), "big")
        return flags, await self.read(size)
