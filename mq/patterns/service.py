"""How is a request answered? By a task of its own, whose result finds its way back."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import trio

from ..message import Message, as_frame, as_message

log = logging.getLogger("mq")

Handler: TypeAlias = Callable[[Any], Awaitable[Message | None]]
"""``await handler(message)`` returns the reply, or None for none. Handlers are typed for what they expect."""
OnError: TypeAlias = Callable[[Exception], Message | None]
"""Make a reply of what a handler raised, or None for none."""
T = TypeVar("T")
"""Where a reply is to go."""

GONE = "replies to a peer that is gone"


def unwrap(frames: list[bytes]) -> tuple[list[bytes], Message]:
    """Split what a ROUTER received into envelope and message. A DEALER may have sent no empty frame between them."""
    end = frames.index(b"", 1) + 1 if b"" in frames[1:-1] else 1
    return frames[:end], frames[end] if len(frames) == end + 1 else frames[end:]


async def serve(
    receive: Callable[[], Awaitable[tuple[T, Message]]],
    reply: Callable[[T, Message], None],
    handler: Handler,
    concurrency: int,
    on_error: OnError | None,
    task_status: trio.TaskStatus[None],
) -> None:
    """Answer requests with what ``handler`` makes of them, ``concurrency`` at a time, until cancelled."""
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ValueError(f"concurrency is a whole number of at least 1; got {concurrency!r}")
    free = trio.Semaphore(concurrency)

    async def answer(way_back: T, request: Message) -> None:
        try:
            message = await _outcome(handler, request, on_error)
            if message is not None:
                reply(way_back, message)
        finally:
            free.release()

    closed: trio.ClosedResourceError | None = None
    async with trio.open_nursery() as nursery:
        task_status.started()
        try:
            while True:
                await free.acquire()
                nursery.start_soon(answer, *await receive())
        except trio.ClosedResourceError as error:
            closed = error
            nursery.cancel_scope.cancel()
    if closed is not None:
        raise closed


async def _outcome(handler: Handler, request: Message, on_error: OnError | None) -> Message | None:
    try:
        return _checked(await handler(request))
    except Exception as error:
        if on_error is not None:
            return _checked(on_error(error))
        log.exception("a handler failed on %d frames; the requester gets no answer", _count(request))
        return None


def _checked(message: object) -> Message | None:
    if message is None:
        return None
    return as_message(message) if isinstance(message, (list, tuple)) else as_frame(message)


def _count(message: Message) -> int:
    return 1 if isinstance(message, bytes) else len(message)
