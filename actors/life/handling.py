"""Whose message is next, and how is it handled? One at a time, except for streams and concurrent methods."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from actors.codec import pack
from actors.errors import CallCycle, UnknownMessage
from actors.life.actor import Actor, messages_of
from actors.nodes.streams import Streaming
from actors.nodes.turns import Turn, turn
from actors.values.failure import Failure
from actors.values.messages import Address, Call, Cast, Raised, Reply, Room

if TYPE_CHECKING:
    from actors.nodes.node import Node


class Queued:
    """A call that waits for its turn; cancelled, it is not handled at all."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def credit(self, items: int) -> None:
        """Only streams have credit."""


class Handling:
    """A call being handled; it can be cancelled from afar."""

    __slots__ = ("scope",)

    def __init__(self) -> None:
        self.scope = trio.CancelScope()

    def cancel(self) -> None:
        self.scope.cancel()

    def credit(self, items: int) -> None:
        """Only streams have credit."""


class Mailbox:
    """Holds the messages for one incarnation, and hands them to its actor.

    Each node that sends may have `capacity` messages waiting here; it is told in batches of the room that messages
    leave. So one full mailbox holds up only those who send to it.
    """

    def __init__(
        self, actor: Actor, node: Node, name: str, uid: str, generation: int, capacity: int, nursery: trio.Nursery
    ) -> None:
        self.generation = generation
        self._actor = actor
        self._name = name
        self._node = node
        self._uid = uid
        self._nursery = nursery
        self._batch = max(1, capacity // 4)
        self._taken: dict[Address, int] = {}
        self._queue: deque[tuple[Call | Cast, list[bytes]]] = deque()
        self._reader: trio.lowlevel.Task | None = None
        self._closed = False
        # Looked up at the class: an attribute of the same name is the actor's own business.
        self._methods: dict[str, Callable[..., Any]] = {
            name: getattr(type(actor), name).__get__(actor)
            for name, streamed in messages_of(type(actor)).items()
            if streamed is not None
        }
        self._concurrent = {name for name, one in self._methods.items() if getattr(one, "__concurrent__", False)}

    def put(self, message: Call | Cast, payload: list[bytes]) -> None:
        """Let a message wait; one for a concurrent method begins at once."""
        if self._closed:
            return
        if message.method in self._concurrent:
            self._make_room(message.caller)
            self._expect(message)
            self._nursery.start_soon(self._beside, message, payload, name=message.method)
            return
        if isinstance(message, Call) and message.chain and self._calls_back(message):
            return
        self._queue.append((message, payload))
        self._expect(message)
        if self._reader is not None:
            reader, self._reader = self._reader, None
            trio.lowlevel.reschedule(reader)

    def _calls_back(self, call: Call) -> bool:
        """Refuse a call for whose answer this very actor waits, before it can be ready for it."""
        names = [name for _, _, name in call.chain]
        for at, (uid, generation, name) in enumerate(call.chain):
            if uid == self._uid and generation == self.generation:
                self._make_room(call.caller)
                self._node.tell(call.caller, Raised(call.id, Failure.of(CallCycle([*names[at:], name]))))
                return True
        return False

    def _expect(self, message: Call | Cast) -> None:
        if isinstance(message, Call):
            self._node.serving[message.id] = Queued()

    def close(self) -> None:
        """Take no more messages, and hand out none that wait."""
        self._closed = True
        for message, _ in self._queue:
            if isinstance(message, Call):
                self._node.serving.pop(message.id, None)
        self._queue.clear()
        if self._reader is not None:
            reader, self._reader = self._reader, None
            trio.lowlevel.reschedule(reader)

    async def serve(self) -> None:
        """Handle messages until closed. A cast that raises comes out of here."""
        since_yield = 0
        task = trio.lowlevel.current_task()
        beside = frozenset((self._nursery, self._actor.nursery))
        me = (self._uid, self.generation, self._name)
        while not self._closed:
            if not self._queue:
                self._reader = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._abort)
                since_yield = 0
                continue
            since_yield += 1
            if since_yield > 64:  # a method that never waits must not keep others from running
                since_yield = 0
                await trio.lowlevel.checkpoint()
                continue
            message, payload = self._queue.popleft()
            self._make_room(message.caller)
            if isinstance(message, Cast):
                turn.set(Turn(task, beside, (me,)))
                await self._cast(message, payload)
            else:
                turn.set(Turn(task, beside, (*message.chain, me)))
                await self._call(message, payload)

    def _abort(self, _raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _make_room(self, sender: Address) -> None:
        taken = self._taken.get(sender, 0) + 1
        if taken >= self._batch or sender == self._node.address:
            self._taken.pop(sender, None)
            self._node.tell(sender, Room(self._uid, self.generation, taken))
        else:
            self._taken[sender] = taken

    def _method(self, name: str) -> Callable[..., Any]:
        try:
            return self._methods[name]
        except KeyError:
            raise UnknownMessage(f"{type(self._actor).__name__} has no message {name!r}") from None

    async def _cast(self, cast: Cast, payload: list[bytes]) -> None:
        args, kwargs = self._node.unpack(payload)
        await self._method(cast.method)(*args, **kwargs)

    async def _beside(self, message: Call | Cast, payload: list[bytes]) -> None:
        # It takes no turn: those wait that waited for it, and its own actor does not.
        chain = message.chain if isinstance(message, Call) else ()
        turn.set(Turn(trio.lowlevel.current_task(), frozenset((self._nursery, self._actor.nursery)), chain))
        if isinstance(message, Cast):
            await self._cast(message, payload)
        else:
            await self._call(message, payload)

    async def _call(self, call: Call, payload: list[bytes]) -> None:
        serving = self._node.serving
        queued = serving.pop(call.id)
        if isinstance(queued, Queued) and queued.cancelled:
            return
        try:
            args, kwargs = self._node.unpack(payload)
            method = self._method(call.method)
            work = method(*args, **kwargs)
        except Exception as error:
            self._node.tell(call.caller, Raised(call.id, Failure.of(error)))
            return
        if call.window:
            streaming = serving[call.id] = Streaming(self._node, call)
            self._nursery.start_soon(self._stream, call, streaming, work, name=call.method)
        else:
            await self._answer(call, work)

    async def _answer(self, call: Call, work: Any) -> None:
        handling = self._node.serving[call.id] = Handling()
        try:
            with handling.scope:
                answer: Reply | Raised = Reply(call.id)
                payload: list[bytes] = []
                try:
                    payload = pack(await work)
                except Exception as error:
                    answer, payload = Raised(call.id, Failure.of(error)), []
                self._node.send(call.caller, answer, payload)
        finally:
            del self._node.serving[call.id]

    async def _stream(self, call: Call, streaming: Streaming, generator: Any) -> None:
        turn.set(Turn(trio.lowlevel.current_task(), frozenset((self._nursery, self._actor.nursery)), call.chain))
        try:
            await streaming.run(generator)
        finally:
            del self._node.serving[call.id]
