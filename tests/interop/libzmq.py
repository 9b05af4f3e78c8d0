"""How does a test talk with libzmq? Blocking sockets of pyzmq, each driven by one worker thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import trio
import zmq
from zmq.utils.monitor import recv_monitor_message

import mq

from ..conftest import until

T = TypeVar("T")

PATIENCE = 20_000
"""Milliseconds after which a call of libzmq gives up, so that no thread outlives a failing test."""


class Libzmq:
    """A socket of libzmq. Its calls block a worker thread, one at a time."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        return await trio.to_thread.run_sync(partial(function, *arguments))

    def bind(self, endpoint: str) -> str:
        self._socket.bind(endpoint)
        return self._socket.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()

    def connect(self, endpoint: str) -> None:
        self._socket.connect(endpoint)

    def unbind(self, endpoint: str) -> None:
        self._socket.unbind(endpoint)

    def disconnect(self, endpoint: str) -> None:
        self._socket.disconnect(endpoint)

    def set(self, name: str, value: int | bytes) -> None:
        self._socket.setsockopt(getattr(zmq, name), value)

    async def send(self, *messages: list[bytes]) -> None:
        def send() -> None:
            for frames in messages:
                self._socket.send_multipart(frames)

        await self._call(send)

    async def receive(self, count: int = 1) -> list[list[bytes]]:
        return await self._call(lambda: [self._socket.recv_multipart() for _ in range(count)])

    async def receive_frames(self) -> list[zmq.Frame]:
        """Receive one message as pyzmq's frames, which know about the connection that they came by."""
        return await self._call(partial(self._socket.recv_multipart, copy=False))

    async def pending(self, milliseconds: int = 0) -> bool:
        return bool(await self._call(self._socket.poll, milliseconds))

    @asynccontextmanager
    async def monitor(self) -> AsyncIterator[Monitor]:
        """Watch what libzmq reports of this socket."""
        socket = self._socket.get_monitor_socket()
        socket.setsockopt(zmq.RCVTIMEO, PATIENCE)
        try:
            yield Monitor(socket)
        finally:
            self._socket.disable_monitor()
            socket.close(linger=0)

    @property
    def writable(self) -> bool:
        """Somebody is there with room, as far as libzmq knows."""
        return bool(self._socket.get(zmq.EVENTS) & zmq.POLLOUT)

    async def deserted(self) -> None:
        """Wait until libzmq has noticed that nobody is there, so that what it sends does not go to who was."""
        await until(lambda: not self.writable)


class Monitor:
    """What libzmq reports of a socket, event by event."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.seen: set[int] = set()

    async def any(self) -> Any:
        """Wait for the next event, and return what is told about it."""
        told = await trio.to_thread.run_sync(recv_monitor_message, self._socket)
        self.seen.add(told["event"])
        return told

    async def next(self, event: int) -> Any:
        """Wait for the next ``event``, and return what is told about it."""
        while (told := await self.any())["event"] != event:
            pass
        return told


@asynccontextmanager
async def libzmq(kind: int, library: Any = zmq, **options: int | bytes) -> AsyncIterator[Libzmq]:
    """Open a socket of libzmq in a context of its own; ``options`` by their names without ``ZMQ_``."""
    context = library.Context()
    socket = context.socket(kind)
    theirs = Libzmq(socket)
    for name, value in {"LINGER": 5000, "RCVTIMEO": PATIENCE, "SNDTIMEO": PATIENCE, **options}.items():
        theirs.set(name, value)
    try:
        yield theirs
    except BaseException:
        theirs.set("LINGER", 0)
        raise
    finally:

        def end() -> None:
            socket.close()
            context.term()

        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(end)


def join(ours: mq.Socket, theirs: Libzmq, endpoint: str, binder: str) -> str:
    """Have one bind to ``endpoint`` and the other connect there; return where."""
    if binder == "ours":
        address = ours.bind(endpoint)
        theirs.connect(address)
    else:
        address = theirs.bind(endpoint)
        ours.connect(address)
    return address


@asynccontextmanager
async def meeting(
    ours: mq.Socket, kind: int, endpoint: str, binder: str, library: Any = zmq, **options: int | bytes
) -> AsyncIterator[tuple[Any, Libzmq]]:
    """Open a socket of ours and one of libzmq, and join them at ``endpoint``."""
    async with libzmq(kind, library, **options) as theirs, ours:
        join(ours, theirs, endpoint, binder)
        await ours.wait_connected()
        yield ours, theirs
