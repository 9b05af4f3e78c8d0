"""Who is at the other end? A bare stream that says whatever bytes a test wants, and good company beside it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from attrs import define

import mq
from mq import endpoint as endpoints

from ..conftest import next_event
from ..protocols.wire import frame, opening


class Raw:
    """A peer that is nothing but a stream of bytes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.heard = b""
        """What has come and was not asked for yet."""

    async def say(self, data: bytes) -> None:
        """Send ``data``."""
        await self.stream.send_all(data)

    async def hear(self, size: int) -> bytes:
        """Wait for exactly ``size`` bytes."""
        while len(self.heard) < size:
            data = await self.stream.receive_some(65536)
            assert data, f"the stream ended after {self.heard!r}"
            self.heard += data
        taken, self.heard = self.heard[:size], self.heard[size:]
        return taken

    async def hear_frame(self) -> tuple[int, bytes]:
        """Wait for a frame, and return its flags and body."""
        flags, size = await self.hear(2)
        if flags & 2:
            size = int.from_bytes(bytes([size]) + await self.hear(7), "big")
        return flags, await self.hear(size)

    async def skip(self, size: int) -> None:
        """Wait for exactly ``size`` bytes, and forget them."""
        size -= len(self.heard)
        self.heard = self.heard[len(self.heard) + size :] if size < 0 else b""
        while size > 0:
            data = await self.stream.receive_some(min(size, 1 << 20))
            assert data, "the stream ended"
            size -= len(data)

    async def hear_end(self) -> bytes:
        """Wait until the other side ends the connection, and return what it said until then."""
        with suppress(trio.BrokenResourceError):
            while data := await self.stream.receive_some(65536):
                self.heard += data
        return self.heard

    def hears_nothing(self) -> bool:
        """Return whether nothing has come."""
        if self.heard:
            return False
        try:
            self.heard = self.stream.socket._sock.recv(65536)  # type: ignore[attr-defined]
        except BlockingIOError:
            return True
        return False

    async def shake_hands(self, socket_type: bytes, minor: int = 1) -> None:
        """Open the conversation as a socket of ``socket_type``, to its end."""
        await self.say(opening(socket_type, minor))
        await self.hear(64)
        _, body = await self.hear_frame()
        assert body.startswith(b"\x05READY")

    async def answer_ping(self) -> None:
        """Wait for a PING, and answer it."""
        assert await self.hear_frame() == (4, b"\x04PING\x00\x00")
        await self.say(b"\x04\x05\x04PONG")


@asynccontextmanager
async def raw_peer(endpoint: str) -> AsyncIterator[Raw]:
    """Connect a bare stream to ``endpoint``."""
    where = endpoints.parse(endpoint)
    if isinstance(where, endpoints.Tcp):
        stream = await trio.open_tcp_stream(where.host, where.port)
    else:
        assert isinstance(where, endpoints.Ipc)
        stream = await trio.open_unix_socket(where.path)
    async with stream:
        yield Raw(stream)


@asynccontextmanager
async def raw_server(endpoint: str, serve: Callable[[Raw], Awaitable[None]]) -> AsyncIterator[str]:
    """Listen at ``endpoint`` and let ``serve`` have each connection; yield the endpoint to connect to."""
    where = endpoints.parse(endpoint)
    if isinstance(where, endpoints.Tcp):
        [listener] = await trio.open_tcp_listeners(where.port, host=where.host)
        bound = f"tcp://127.0.0.1:{listener.socket.getsockname()[1]}"
    else:
        assert isinstance(where, endpoints.Ipc)
        sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        await sock.bind(where.path)
        sock.listen()
        listener = trio.SocketListener(sock)
        bound = endpoint

    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            await serve(Raw(stream))

    try:
        async with listener, trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, handle, [listener])
            yield bound
            nursery.cancel_scope.cancel()
    finally:
        if isinstance(where, endpoints.Ipc):
            os.unlink(where.path)


@define
class Company:
    """A PULL, and a good PUSH that talks to it whatever others do."""

    pull: mq.Pull
    push: mq.Push
    endpoint: str
    events: Any
    said: int = 0

    async def talk(self, count: int = 100) -> None:
        """Have the good peer send, and assert that all of it arrives in order, and nothing else."""
        numbers = range(self.said, self.said + count)
        self.said += count
        for number in numbers:
            await self.push.send(b"good %d" % number)
        for number in numbers:
            assert await self.pull.receive() == b"good %d" % number

    async def event(self, kind: type[Any]) -> Any:
        """Wait for an event at the PULL."""
        return await next_event(self.events, kind)


@asynccontextmanager
async def good_company(endpoint: str, **options: Any) -> AsyncIterator[Company]:
    """Open a PULL with ``options`` and a good PUSH, and watch the PULL from the moment they have met."""
    async with mq.Pull(**options) as pull, mq.Push() as push:
        bound = pull.bind(endpoint)
        push.connect(bound)
        await pull.wait_connected()
        await push.wait_connected()
        async with pull.monitor() as events:
            company = Company(pull, push, bound, events)
            await company.talk()
            yield company
            await company.talk()
            assert pull.statistics().dropped == {}
            assert push.statistics().dropped == {}
            assert push.statistics().reconnects == 0


async def heartbeats(count: int, interval: float) -> None:
    """Let a socket with heartbeats at ``interval`` send that many: a clock that goes by what others had time for."""
    pair = mq.Pair(heartbeat_interval=interval, heartbeat_timeout=30)
    async with pair, raw_peer(pair.bind("tcp://127.0.0.1:*")) as raw:
        await raw.shake_hands(b"PAIR")
        for _ in range(count):
            await raw.answer_ping()


def messages(start: int, count: int) -> bytes:
    """Return the frames of numbered messages."""
    return b"".join(frame(b"raw %d" % number) for number in range(start, start + count))
