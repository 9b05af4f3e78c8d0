"""Whose message is next, and who handles it? One at a time, except for streams and concurrent methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from actors.codec import decode, encode, pack
from actors.errors import UnknownMessage
from actors.failure import Failure
from actors.messages import Call, Cast, Raised, Reply
from actors.stream import Streaming

if TYPE_CHECKING:
    from actors.actor import Actor
    from actors.node import Node


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

    async def serve(self, inbox: Any) -> None:
        """Handle messages until the inbox is closed. A cast that raises comes out of here."""
        while True:
            try:
                message, payload = decode(await inbox.receive_multipart())
            except trio.ClosedResourceError:
                return
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
        if getattr(method, "__concurrent__", False):
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
        if call.window:
            self._nursery.start_soon(self._stream, call, work, name=call.method)
        elif getattr(method, "__concurrent__", False):
            self._nursery.start_soon(self._answer, call, work, name=call.method)
        else:
            await self._answer(call, work)

    async def _answer(self, call: Call, work: Any) -> None:
        handling = self._node.serving[call.id] = Handling()
        try:
            with handling.scope:
                try:
                    answer = encode(Reply(call.id), pack(await work))
                except Exception as error:
                    answer = encode(Raised(call.id, Failure.of(error)))
                self._node.post(call.caller, answer)
        finally:
            del self._node.serving[call.id]

    async def _stream(self, call: Call, generator: Any) -> None:
        streaming = self._node.serving[call.id] = Streaming(self._node, call)
        try:
            await streaming.run(generator)
        finally:
            del self._node.serving[call.id]
