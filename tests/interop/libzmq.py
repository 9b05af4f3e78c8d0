"""How does a test talk with libzmq? Blocking sockets of pyzmq, each driven by one worker thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import trio
import zmq

T = TypeVar("T")

PATIENCE = 20_000
"""Milliseconds after which a call of libzmq gives up, so that no thread outlives a failing test."""


class Libzmq:
    """A socket of libzmq. Its calls block a worker thread, one at a time."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
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

    async def send(self, *messages: list[bytes]) -> None:
        def send() -> None:
            for frames in messages:
                self._socket.send_multipart(frames)

        await self._call(send)

    async def receive(self, count: int = 1) -> list[list[bytes]]:
        return await self._call(lambda: [self._socket.recv_multipart() for _ in range(count)])

    async def pending(self, milliseconds: int = 0) -> bool:
        return bool(await self._call(self._socket.poll, milliseconds))


@asynccontextmanager
async def libzmq(kind: int, **options: int) -> AsyncIterator[Libzmq]:
    """Open a socket of libzmq in a context of its own; ``options`` by their names without ``ZMQ_``."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(kind)
    for name, value in {"LINGER": 5000, "RCVTIMEO": PATIENCE, "SNDTIMEO": PATIENCE, **options}.items():
        socket.setsockopt(getattr(zmq, name), value)
    try:
        yield Libzmq(socket)
    except BaseException:
        socket.setsockopt(zmq.LINGER, 0)
        raise
    finally:

        def end() -> None:
            socket.close()
            context.term()

        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(end)
