"""How does serve() answer requests? A separate task runs the handler for each request, and sends the reply."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar, Unpack

import trio

from ..message import Message, as_frame, as_message, frames_of, message_of, shortened
from ..options import OptionArguments
from .incoming import Receiver

log = logging.getLogger("mq")

Handler: TypeAlias = Callable[[Any], Awaitable[Message | None]]
"""``await handler(message)`` returns the reply, or None. A handler's parameter has the type that it expects."""
OnError: TypeAlias = Callable[[Exception], Message | None]
"""Returns the reply for an exception of a handler, or None for no reply."""
T = TypeVar("T")
"""The return address of a reply."""


class Service(Receiver):
    """Answer requests with a function. Subclasses pass functions that receive a request and send a reply."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._services: set[trio.CancelScope] = set()

    async def _serve(
        self,
        receive: Callable[[], Awaitable[tuple[T, Message]]],
        reply: Callable[[T, Message], None],
        handler: Handler,
        concurrency: int,
        on_error: OnError | None,
        task_status: trio.TaskStatus[None],
    ) -> None:
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise ValueError(f"concurrency is a whole number of at least 1; got {concurrency!r}")
        if not callable(handler):
            raise TypeError(f"a handler is an async function of one request; got {shortened(handler)}")
        self._check_open()
        free = trio.Semaphore(concurrency)

        async def answer(way_back: T, request: Message) -> None:
            message = await self._outcome(handler, request, on_error)
            if message is not None:
                reply(way_back, message)
            free.release()

        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            scope = nursery.cancel_scope
            self._services.add(scope)
            task_status.started()
            try:
                while True:
                    # A request is received only when a handler can start, so that cancellation loses no request.
                    await free.acquire()
                    nursery.start_soon(answer, *await receive())
            except Exception as error:  # raised after the nursery, which would wrap it in a group
                failure = error
                scope.cancel()
            finally:
                self._services.discard(scope)
        self._check_open()
        if failure is not None:
            raise failure

    async def _outcome(self, handler: Handler, request: Message, on_error: OnError | None) -> Message | None:
        """Return the reply to ``request``, or None. An exception of the handler affects only this request."""
        try:
            try:
                return _checked(await _awaitable(handler(request)))
            except Exception as error:
                if on_error is None:
                    raise
                return _checked(on_error(error))
        except Exception:
            frames = len(frames_of(request))
            what = f"a request of {frames} frames" if frames > 1 else f"a request of {len(request)} bytes"
            log.exception("%s.serve() failed on %s, which gets no reply", self._name, what)
            return None

    def _stop(self) -> None:
        # Before waiting tasks are woken, so that no handler outlives the socket.
        for scope in self._services:
            scope.cancel()
        super()._stop()


def unwrap(frames: list[bytes]) -> tuple[list[bytes], Message]:
    """Split a message received by a ROUTER into envelope and body. A DEALER may send no empty frame between them."""
    end = frames.index(b"", 1) + 1 if b"" in frames[1:-1] else 1
    return frames[:end], message_of(frames[end:])


def _awaitable(called: object) -> Awaitable[object]:
    if not isinstance(called, Awaitable):
        raise TypeError(f"a handler is an async function; this one returned {shortened(called)}: write 'async def'")
    return called


def _checked(message: object) -> Message | None:
    if message is None:
        return None
    return as_message(message) if isinstance(message, (list, tuple)) else as_frame(message)
