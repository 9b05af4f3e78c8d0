"""Whose message is next, and who handles it? One at a time, except for streams and concurrent methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from actors import scopes
from actors.codec import decode, encode, pack
from actors.errors import UnknownMessage
from actors.nodes.streams import Streaming
from actors.values.failure import Failure
from actors.values.messages import Call, Cast, Message, Raised, Reply

if TYPE_CHECKING:
    from actors.life.actor import Actor
    from actors.nodes.node import Node


async def _next(inbox: Any) -> tuple[Message, list[bytes]] | None:
    try:
        return decode(await inbox.receive_multipart())
    except trio.ClosedResourceError:
        return None


class Handling:
    """A call being handled; it can be cancelled from afar."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()

    def cancel(self) -> None:
        self.scope.cancel()

    def credit(self, items: int) -> None:
        """Only streams have credit."""


class Mailbox:
    """Hands an actor its messages."""

    def __init__(self, actor: Actor, node: Node, generation: int, nursery: trio.Nursery) -> None:
        self._actor = actor
        self._node = node
        self._generation = generation
        self._nursery = nursery
        self._concurrent = {
            name for name in actor.messages if getattr(getattr(actor, name), "__concurrent__", False)
        }
        self._turn = trio.Lock()
        self._stopped = False

    async def serve(self, inbox: Any, capacity: int) -> None:
        """Handle messages until the inbox is closed. A cast that raises comes out of here."""
        if not self._concurrent:
            while (next := await _next(inbox)) is not None:
                await self._handle(*next)
            return
        # Somebody must read on while a message is handled, or a concurrent one could not overtake it.
        turns, queue = trio.open_memory_channel[tuple[Message, list[bytes]]](capacity)
        async with turns, scopes.open_nursery() as nursery:
            nursery.start_soon(self._take_turns, queue)
            while (next := await _next(inbox)) is not None:
                if isinstance(next[0], Call | Cast) and next[0].method in self._concurrent:
                    await self._handle(*next)
                else:
                    await turns.send(next)
            await self._finish_turn(nursery)

    async def _take_turns(self, queue: trio.MemoryReceiveChannel[tuple[Message, list[bytes]]]) -> None:
        async for message, payload in queue:
            async with self._turn:
                if self._stopped:
                    return
                await self._handle(message, payload)

    async def _finish_turn(self, nursery: trio.Nursery) -> None:
        self._stopped = True
        async with self._turn:
            nursery.cancel_scope.cancel()

    async def _handle(self, message: Message, payload: list[bytes]) -> None:
        if isinstance(message, Cast):
            await self._cast(message, payload)
        elif isinstance(message, Call) and self._wanted(message):
            await self._call(message, payload)

    def _wanted(self, call: Call) -> bool:
        # The caller of an earlier incarnation has already been told that it died.
        return call.generation == self._generation and not self._node.cancelled_early(call.id)

    def _method(self, name: str) -> Callable[..., Any]:
        if name not in self._actor.messages:
            raise UnknownMessage(f"{self._actor.name} has no message {name!r}")
        method: Callable[..., Any] = getattr(self._actor, name)
        return method

    async def _cast(self, cast: Cast, payload: list[bytes]) -> None:
        args, kwargs = self._node.unpack(payload)
        method = self._method(cast.method)
        if cast.method in self._concurrent:
            self._nursery.start_soon(lambda: method(*args, **kwargs), name=cast.method)
        else:
            await method(*args, **kwargs)

    async def _call(self, call: Call, payload: list[bytes]) -> None:
        try:
            args, kwargs = self._node.unpack(payload)
            method = self._method(call.method)
            work = method(*args, **kwargs)
        except Exception as error:
            self._node.post(call.caller, encode(Raised(call.id, Failure.of(error))))
            return
        # Known before its task runs, or a cancellation in between would find nothing to cancel.
        if call.window:
            streaming = self._node.serving[call.id] = Streaming(self._node, call)
            self._nursery.start_soon(self._stream, call, streaming, work, name=call.method)
            return
        handling = self._node.serving[call.id] = Handling()
        if call.method in self._concurrent:
            self._nursery.start_soon(self._answer, call, handling, work, name=call.method)
        else:
            await self._answer(call, handling, work)

    async def _answer(self, call: Call, handling: Handling, work: Any) -> None:
        try:
            with handling.scope:
                try:
                    answer = encode(Reply(call.id), pack(await work))
                except Exception as error:
                    answer = encode(Raised(call.id, Failure.of(error)))
                self._node.post(call.caller, answer)
        finally:
            del self._node.serving[call.id]

    async def _stream(self, call: Call, streaming: Streaming, generator: Any) -> None:
        try:
            await streaming.run(generator)
        finally:
            del self._node.serving[call.id]
