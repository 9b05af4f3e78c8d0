"""How does an exception leave a nursery? As itself: nurseries inside are nobody else's business."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import trio

T = TypeVar("T")


@asynccontextmanager
async def open_nursery() -> AsyncIterator[trio.Nursery]:
    """A nursery out of which one exception comes as itself, several as the most urgent with notes."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        error = foremost(group)
        context = error.__context__
        try:
            raise error
        finally:
            error.__context__ = context
            del error, context


@asynccontextmanager
async def apart(manager: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Hold a context manager in a task of its own, where a cancellation around the block does not reach it.

    So what runs in it can still be stopped in good order while the block is being cancelled. It is left when
    the block is, as if nothing had happened.
    """
    entered, left = trio.Event(), trio.Event()
    values: list[T] = []

    async def hold() -> None:
        with trio.CancelScope(shield=True):
            try:
                async with manager as value:
                    values.append(value)
                    entered.set()
                    await left.wait()
            finally:
                entered.set()

    async with open_nursery() as nursery:
        nursery.start_soon(hold)
        try:
            # Not nursery.start(): cancelled while it starts, that would wait for the task's end.
            with trio.CancelScope(shield=True):
                await entered.wait()
            if not values:
                await trio.sleep_forever()  # entering failed, and the nursery is about to say why
            yield values[0]
        finally:
            left.set()


def foremost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception to raise for a nursery's group; an exception group of the user's own stays one."""
    told = [error for error in group.exceptions if not isinstance(error, trio.Cancelled)]
    if not told:
        return group.exceptions[0] if group.exceptions else group
    told.sort(key=lambda error: isinstance(error, Exception))
    for other in told[1:]:
        told[0].add_note(f"Meanwhile: {type(other).__name__}: {other}")
    return told[0]
