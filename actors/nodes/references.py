"""How does one speak to an actor? A reference, and one method object for each of its messages."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar, cast

import trio

from actors.codec import pack_arguments
from actors.errors import NoSuchChild, UnknownMessage
from actors.nodes.streams import Stream
from actors.values.messages import Address, Down, Lineage, Target
from actors.values.reasons import Reason

if TYPE_CHECKING:
    from actors.nodes.node import Node

P = ParamSpec("P")
A_co = TypeVar("A_co", covariant=True)

_arrival = threading.local()
_homes: trio.lowlevel.RunVar[list[Node]] = trio.lowlevel.RunVar("actors.nodes")
DEATHS = 1000  # deaths that may wait in a monitor; who does not read misses the later ones


@contextmanager
def arriving_at(node: Node) -> Iterator[None]:
    """References unpickled in this block speak through `node`."""
    before = getattr(_arrival, "node", None)
    _arrival.node = node
    try:
        yield
    finally:
        _arrival.node = before


@contextmanager
def at_home(node: Node) -> Iterator[None]:
    """References from other runs, used in this run, speak through `node`."""
    try:
        homes = _homes.get()
    except LookupError:
        homes = []
        _homes.set(homes)
    homes.append(node)
    try:
        yield
    finally:
        homes.remove(node)


class Ref(Generic[A_co]):
    """A reference to an actor: valid across its restarts, sendable in messages, usable from every place.

    `await ref.method(...)` calls, `await ref.method.tell(...)` casts, `async for item in ref.method(...)`
    streams. Type checkers see every public name and any arguments; `ref.typed` is the same reference seen
    as the actor's class, for calls and streams checked to the last argument.
    """

    __slots__ = ("__weakref__", "_node", "_target")

    def __init__(self, target: Target, node: Node | None = None) -> None:
        self._target = target
        self._node = node

    @property
    def name(self) -> str:
        """Its path in the tree, such as "root/bank/ann"."""
        return self._target.name

    @property
    def typed(self) -> A_co:
        """This reference, as the actor's class to the type checker."""
        return cast(A_co, self)

    def __getattr__(self, name: str) -> Method:
        streamed = self._target.messages.get(name)
        if streamed is None:
            self._unknown(name)
        return Method(self, name, streamed)

    def _unknown(self, name: str) -> NoReturn:
        messages = self._target.messages
        if name in messages:
            raise UnknownMessage(f"{self.name}.{name} is not a message, as it is not async: write async def {name}")
        known = ", ".join(sorted(name for name, streamed in messages.items() if streamed is not None))
        raise UnknownMessage(f"{self.name} has no message {name!r}; it has {known}")

    def __dir__(self) -> list[str]:
        messages = (name for name, streamed in self._target.messages.items() if streamed is not None)
        return sorted({*super().__dir__(), *messages})

    @asynccontextmanager
    async def monitor(self) -> AsyncIterator[trio.MemoryReceiveChannel[Down]]:
        """Hear of each death of the actor as a Down; ends after one that is `final`.

        Entering waits until the board has answered, so no later death is missed. Up to 1000 deaths wait to be
        read; later ones are dropped. Raises ActorDied if the actor is down for good already.
        """
        peer = await self._here().meet(self._target)
        send, receive = trio.open_memory_channel[Down](DEATHS)
        monitor = Monitor(send)
        peer.mourners.add(monitor)
        try:
            with receive:
                yield receive
        finally:
            peer.mourners.discard(monitor)
            send.close()

    async def wait_died(self) -> Reason:
        """Wait for the death of the incarnation that runs now; at once if it is down for good."""
        async with self.monitor() as downs:
            down = await downs.receive()
        return down.reason

    def _here(self) -> Node:
        """The node this reference speaks through: that in which it arrived, or one of the run that uses it."""
        node = self._node
        if node is not None and node.token is trio.lowlevel.current_trio_token():
            return node
        homes = _homes.get([])
        if homes:
            return homes[-1]
        raise RuntimeError(
            f"the reference to {self.name} came from another Trio run, and this run has no actors of its own: "
            "open a supervisor here (actors.open_supervisor), or use the reference where it came from "
            "(trio.from_thread.run)"
        )

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        one = self._target
        return _arrive, (one.name, one.uid, one.generation, one.lineage, one.board, one.messages)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other._target.uid == self._target.uid

    def __hash__(self) -> int:
        return hash(self._target.uid)

    def __repr__(self) -> str:
        return f"<Ref {self.name}>"


class Monitor:
    """Passes deaths on to a channel. What its reader does with the channel concerns the reader alone."""

    def __init__(self, channel: trio.MemorySendChannel[Down]) -> None:
        self._channel = channel

    def hear(self, down: Down) -> None:
        with suppress(trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            self._channel.send_nowait(down)
        if down.final:
            self._channel.close()


def _arrive(*target: Any) -> Ref[Any]:
    return Ref(Target(*target), getattr(_arrival, "node", None))


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
            return Stream(self._ref, self._name, self._pack(args, kwargs))
        return self._call(args, kwargs)

    def _pack(self, args: Any, kwargs: Any) -> list[bytes]:
        return pack_arguments(f"{self._ref.name}.{self._name}", args, kwargs)

    def _call(self, args: Any, kwargs: Any) -> Coroutine[Any, Any, Any]:
        ref = self._ref
        return ref._here().call(ref._target, self._name, self._pack(args, kwargs))

    async def tell(self, *args: Any, **kwargs: Any) -> None:
        """Cast: no answer; returns once the mailbox has room. Raises ActorDied if it is down for good."""
        if self._streamed:
            raise TypeError(f"{self._ref.name}.{self._name} answers with a stream: nobody would read it")
        ref = self._ref
        await ref._here().cast(ref._target, self._name, self._pack(args, kwargs))

    def __repr__(self) -> str:
        return f"<{self._ref.name}.{self._name}>"


async def tell(message: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
    """Cast: `await actors.tell(ann.deposit, 5)` is `await ann.deposit.tell(5)`, with arguments that are checked.

    Returns once the mailbox has room. Raises ActorDied if the actor is down for good.
    """
    if not isinstance(message, Method):
        raise TypeError(f"expected a message of a reference, such as ann.deposit, got {type(message).__name__}")
    await message.tell(*args, **kwargs)


def monitor(ref: Any, /) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Down]]:
    """Hear of each death of an actor: `async with actors.monitor(ann) as deaths` is `ann.monitor()`."""
    if not isinstance(ref, Ref):
        raise TypeError(f"expected a reference to an actor, got {type(ref).__name__}")
    return ref.monitor()


async def find(asks: Lineage, board: Address, node: Node, path: str) -> Ref[Any]:
    """The actor called `path` ("name" or "supervisor/name"), seen from the first of `asks`. Raises NoSuchChild."""
    first, _, rest = path.partition("/")
    found = await node.find(asks, board, first)
    if found is None:
        raise NoSuchChild(f"no supervisor from here to the root has a child {first!r}")
    return await found.get(rest) if rest else found
