"""Which proxy do the tests use? A SOCKS 5 proxy that follows RFC 1928, or makes the mistakes that a test wants."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import trio
import trio.testing
from attrs import define, field

Step = Callable[[trio.SocketStream, bytes], Awaitable[None]]


async def at_once(stream: trio.SocketStream, data: bytes) -> None:
    """Send ``data``."""
    await stream.send_all(data)


async def byte_by_byte(stream: trio.SocketStream, data: bytes) -> None:
    """Send ``data`` byte by byte."""
    for number in range(len(data)):
        await stream.send_all(data[number : number + 1])
        await trio.testing.wait_all_tasks_blocked()


@define
class Proxy:
    """A running proxy and its behaviour."""

    address: str = ""
    user: tuple[bytes, bytes] | None = None
    """The user name and password that the proxy requires."""
    reply: int = 0
    """The answer to a request; 0 means that the proxy connects."""
    bound: bytes = b"\x01\x7f\x00\x00\x01\x00\x00"
    """The address in the answer, after the type of the address."""
    leave_after: int | None = None
    """The number of the answer in whose place the proxy closes the connection."""
    say: Step = at_once
    asked: list[tuple[int, bytes, int]] = field(factory=list)
    """The type, address and port of each request."""
    sources: list[str] = field(factory=list)
    """The source address of each connection to the proxy."""
    resolve: dict[bytes, str] = field(factory=dict)
    """The host names that only the proxy knows."""

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one client."""
        self.sources.append(stream.socket.getpeername()[0])
        answers = 0

        async def answer(data: bytes) -> None:
            nonlocal answers
            if self.leave_after == answers:
                await self.say(stream, data[:1])
                raise trio.BrokenResourceError("it leaves")
            answers += 1
            await self.say(stream, data)

        async with stream:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, EOFError):
                version, count = await _take(stream, 2)
                assert version == 5
                methods = await _take(stream, count)
                method = 2 if self.user else 0
                if method not in methods:
                    await answer(b"\x05\xff")
                    return
                await answer(bytes([5, method]))
                if self.user:
                    _, size = await _take(stream, 2)
                    name = await _take(stream, size)
                    secret = await _take(stream, (await _take(stream, 1))[0])
                    await answer(bytes([1, (name, secret) != self.user]))
                    if (name, secret) != self.user:
                        return
                version, command, _, kind = await _take(stream, 4)
                assert (version, command) == (5, 1)
                size = {1: 4, 4: 16}.get(kind) or (await _take(stream, 1))[0]
                host = await _take(stream, size)
                port = int.from_bytes(await _take(stream, 2), "big")
                self.asked.append((kind, host, port))
                await self._connect(stream, kind, host, port, answer)

    async def _connect(
        self, stream: trio.SocketStream, kind: int, host: bytes, port: int, answer: Callable[[bytes], Awaitable[None]]
    ) -> None:
        if self.reply:
            await answer(bytes([5, self.reply, 0]) + self.bound)
            return
        name = self.resolve.get(host, host.decode()) if kind == 3 else socket.inet_ntop(
            socket.AF_INET if kind == 1 else socket.AF_INET6, host
        )
        try:
            target = await trio.open_tcp_stream(name, port)
        except OSError:
            await answer(bytes([5, 5, 0]) + self.bound)
            return
        async with target, trio.open_nursery() as nursery:
            # The peer's first bytes may come right behind the answer: have them stick to it.
            greeting = await target.receive_some()
            await answer(bytes([5, 0, 0]) + self.bound + greeting)
            nursery.start_soon(_carry, stream, target, nursery.cancel_scope)
            await _carry(target, stream, nursery.cancel_scope)


async def _take(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        some = await stream.receive_some(size - len(data))
        if not some:
            raise EOFError
        data += some
    return data


async def _carry(source: trio.SocketStream, target: trio.SocketStream, scope: trio.CancelScope) -> None:
    with suppress(trio.BrokenResourceError):
        async for data in source:
            await target.send_all(data)
    scope.cancel()


@asynccontextmanager
async def proxy(**behaviour: object) -> AsyncIterator[Proxy]:
    """Run a proxy on a port of its own."""
    running = Proxy(**behaviour)  # type: ignore[arg-type]
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    running.address = f"127.0.0.1:{listener.socket.getsockname()[1]}"
    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, running.serve, [listener])
        yield running
        nursery.cancel_scope.cancel()
