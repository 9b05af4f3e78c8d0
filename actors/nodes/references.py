"""How does one speak to an actor? A reference, and one method object for each of its messages."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast

import trio

from actors.codec import pack
from actors.errors import NoSuchChild, UnknownMessage
from actors.nodes.streams import Stream
from actors.values.messages import Address, Down
from actors.values.reasons import Reason

if TYPE_CHECKING:
    from actors.nodes.node import Node

A_co = TypeVar("A_co", covariant=True)
Lineage = tuple[tuple[str, Address], ...]

_arrival = threading.local()


@contextmanager
def arriving_at(node: Node) -> Iterator[None]:
    """References unpickled in this block speak through `node`."""
    before = getattr(_arrival, "node", None)
    _arrival.node = node
    try:
        yield
    finally:
        _arrival.node = before


class Ref(Generic[A_co]):
    """A reference to an actor: valid across its restarts, sendable in messages, usable from every place.

    `await ref.method(...)` calls, `await ref.method.tell(...)` casts, `async for item in ref.method(...)`
    streams. Type checkers see every public name and any arguments; `ref.typed` is the same reference seen
    as the actor's class, for calls and streams checked to the last argument.
    """

    __slots__ = ("__weakref__", "_node", "lineage", "mailbox", "messages", "name", "uid")

    def __init__(
        self,
        name: str,
        uid: str,
        mailbox: Address,
        lineage: Lineage,
        messages: dict[str, bool],
        node: Node | None = None,
    ) -> None:
        self.name = name
        self.uid = uid
        self.mailbox = mailbox
        self.lineage = lineage
        self.messages = messages  # name -> is it a stream?
        self._node = node

    @classmethod
    def to_supervisor(cls, uid: str) -> Ref[Any]:
        """A reference good for watching only."""
        return cls("", uid, "", (), {})

    @property
    def typed(self) -> A_co:
        """This reference, as the actor's class to the type checker."""
        return cast(A_co, self)

    def __getattr__(self, name: str) -> Method:
        try:
            streamed = self.messages[name]
        except KeyError:
            self._unknown(name)
        return Method(self, name, streamed)

    def _unknown(self, name: str) -> NoReturn:
        raise UnknownMessage(f"{self.name} has no message {name!r}; it has {', '.join(sorted(self.messages))}")

    @asynccontextmanager
    async def monitor(self) -> AsyncIterator[trio.MemoryReceiveChannel[Down]]:
        """Hear of each death of the actor as a Down; ends after one that is `final`.

        Entering waits until the supervisor has answered, so no later death is missed. Raises ActorDied if
        the actor is down for good already.
        """
        node = self.node
        peer = await node.meet(self)
        send, receive = trio.open_memory_channel[Down](1000)
        peer.mourners.add(send)
        try:
            with receive:
                yield receive
        finally:
            peer.mourners.discard(send)
            send.close()

    async def wait_died(self) -> Reason:
        """Wait for the death of the incarnation that runs now; at once if it is down for good."""
        from_now = self.monitor()
        async with from_now as downs:
            down = await downs.receive()
        return down.reason

    @property
    def node(self) -> Node:
        """The node this reference speaks through: the run in which it arrived."""
        if self._node is None:
            raise RuntimeError(f"the reference to {self.name} was not received from an actor or a supervisor")
        return self._node

    def bound_to(self, node: Node) -> Ref[A_co]:
        return Ref(self.name, self.uid, self.mailbox, self.lineage, self.messages, node)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _arrive, (self.name, self.uid, self.mailbox, self.lineage, self.messages)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other.uid == self.uid

    def __hash__(self) -> int:
        return hash(self.uid)

    def __repr__(self) -> str:
        return f"<Ref {self.name}>"


def _arrive(name: str, uid: str, mailbox: Address, lineage: Lineage, messages: dict[str, bool]) -> Ref[Any]:
    return Ref(name, uid, mailbox, lineage, messages, getattr(_arrival, "node", None))


class Method:
    """One message of one actor."""

    __slots__ = ("_name", "_ref", "_streamed")

    def __init__(self, ref: Ref[Any], name: str, streamed: bool) -> None:
        self._ref = ref
        self._name = name
        self._streamed = streamed

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it: an awaitable of its result, or an asynchronous iterator if it is a generator.

        Raises what the method raised, with the traceback over there as the __cause__; ActorDied if the
        actor ended before it answered. Cancelling it cancels the method.
        """
        if self._streamed:
            return Stream(self._ref, self._name, (args, kwargs))
        return self._call(args, kwargs)

    def _call(self, args: Any, kwargs: Any) -> Coroutine[Any, Any, Any]:
        return self._ref.node.call(self._ref, self._name, pack((args, kwargs)))

    async def tell(self, *args: Any, **kwargs: Any) -> None:
        """Cast: no answer; returns once the mailbox has room. Raises ActorDied if it is down for good."""
        if self._streamed:
            raise TypeError(f"{self._ref.name}.{self._name} answers with a stream: nobody would read it")
        await self._ref.node.cast(self._ref, self._name, pack((args, kwargs)))

    def __repr__(self) -> str:
        return f"<{self._ref.name}.{self._name}>"


def pack_one(value: Any) -> list[bytes]:
    return pack(value)


async def find(lineage: Lineage, node: Node, path: str) -> Ref[Any]:
    """The actor called `path` ("name" or "supervisor/name"), nearest supervisor first. Raises NoSuchChild."""
    first, *rest = path.split("/")
    for supervisor, home in lineage:
        found = await node.find(supervisor, home, first)
        if found is not None:
            return await found.find("/".join(rest)) if rest else found
    raise NoSuchChild(f"no supervisor from here to the root has a child {first!r}")
