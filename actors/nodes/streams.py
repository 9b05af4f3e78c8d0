"""How does one answer become many? A stream: items against credit, from a generator to `async for`."""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import trio

from actors.codec import pack
from actors.errors import ActorDied
from actors.values.failure import Failure
from actors.values.messages import Address, Call, Credit, End, Item, Raised, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.nodes.node import Node
    from actors.nodes.peers import Peer
    from actors.nodes.references import Ref

WINDOW = 32  # items that may be under way; half of it is granted anew each time half is used


class Stream:
    """The items of one streamed reply. Nothing is sent before the first item is asked for.

    Leaving the loop early, cancelling the consumer, or `aclose` ends the generator over there. Where the
    moment matters use it as a block: `async with ref.history() as items: async for item in items: ...`
    """

    def __init__(self, ref: Ref[Any], method: str, arguments: list[bytes]) -> None:
        self._ref = ref
        self._method = method
        self._arguments = arguments
        self._node: Node | None = None
        self._peer: Peer | None = None
        self._id = 0
        self._items: deque[list[bytes]] = deque()
        self._end: BaseException | None = None
        self._arrived = trio.Event()
        self._taken = 0

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        try:
            if self._peer is None and self._end is None:
                await self._begin()
            while not self._items:
                if self._end is not None:
                    raise self._ended()
                self._arrived = trio.Event()
                await self._arrived.wait()
            return self._take()
        except BaseException:
            self._hang_up()
            raise

    async def _begin(self) -> None:
        payload, self._arguments = self._arguments, []
        self._node = self._ref._here()
        await self._node.stream(self._ref._target, self._method, payload, WINDOW, self._begun)

    def _begun(self, peer: Peer, id: int) -> _Ear:
        self._peer, self._id = peer, id
        return _Ear(self)

    def _ended(self) -> BaseException:
        error, self._end = self._end, StopAsyncIteration()
        assert error is not None
        return error

    def _take(self) -> Any:
        item = self._items.popleft()
        self._taken += 1
        assert self._node is not None
        if self._taken >= WINDOW // 2 and self._peer is not None and self._end is None:
            self._node.tell(self._peer.node, Credit(self._id, self._taken))
            self._taken = 0
        return self._node.unpack(item)

    def hear(self, message: Reply | Raised | Item | End, payload: list[bytes]) -> None:
        if isinstance(message, Item):
            self._items.append(payload)
            self._arrived.set()
        elif isinstance(message, Raised):
            self._finish(message.failure.exception())
        else:
            self._finish(StopAsyncIteration())

    def died(self, error: ActorDied) -> None:
        self._finish(error)

    def _finish(self, error: BaseException) -> None:
        if self._end is None:
            self._end = error
        self._arrived.set()
        if self._node is not None and self._peer is not None:
            self._node.hang_up(self._peer, self._id, cancel=False)

    def _hang_up(self) -> None:
        if self._end is None:
            self._end = StopAsyncIteration()
        if self._node is not None and self._peer is not None:
            self._node.hang_up(self._peer, self._id)
            self._peer = None

    async def aclose(self) -> None:
        """End the generator over there; idempotent."""
        self._hang_up()
        await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hang_up()

    def __del__(self) -> None:
        node, peer, id = getattr(self, "_node", None), getattr(self, "_peer", None), self._id
        if node is not None and peer is not None and self._end is None:
            node.soon(lambda: node.hang_up(peer, id))


class _Ear:
    """What the node holds of a stream: it must not keep one alive that its reader has dropped."""

    def __init__(self, stream: Stream) -> None:
        self._stream = weakref.ref(stream)

    def hear(self, message: Reply | Raised | Item | End, payload: list[bytes]) -> None:
        stream = self._stream()
        if stream is not None:
            stream.hear(message, payload)

    def died(self, error: ActorDied) -> None:
        stream = self._stream()
        if stream is not None:
            stream.died(error)


class Streaming:
    """The actor's side: runs the generator, one item for each credit."""

    def __init__(self, node: Node, call: Call) -> None:
        self._node = node
        self._caller: Address = call.caller
        self._id = call.id
        self._credit = call.window
        self._more = trio.Event()
        self._scope = trio.CancelScope()

    def cancel(self) -> None:
        self._scope.cancel()

    def credit(self, items: int) -> None:
        self._credit += items
        self._more.set()

    async def run(self, generator: AsyncGenerator[Any, None]) -> None:
        """Send the items and then End, or Raised; an exception concerns the reader, not the actor."""
        with self._scope:
            try:
                async with aclosing(generator):
                    await self._send_all(generator)
                answer: End | Raised = End(self._id)
            except Exception as error:
                answer = Raised(self._id, Failure.of(error))
            self._node.tell(self._caller, answer)

    async def _send_all(self, generator: AsyncGenerator[Any, None]) -> None:
        while True:
            while not self._credit:
                self._more = trio.Event()
                await self._more.wait()
            try:
                item = await anext(generator)
            except StopAsyncIteration:
                return
            self._credit -= 1
            self._node.send(self._caller, Item(self._id), pack(item))
            await trio.lowlevel.checkpoint()
