"""What does a user write? A class whose public async methods are the messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

import trio

from actors.nodes import references
from actors.nodes.references import Ref
from actors.values.messages import Context, Target
from actors.values.reasons import Normal, Reason

if TYPE_CHECKING:
    from actors.nodes.node import Node

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
HOOKS = ("started", "stopping")


def concurrent(method: F) -> F:
    """Mark a message that may run beside others: it does not wait for its turn and keeps nobody waiting."""
    method.__concurrent__ = True  # type: ignore[attr-defined]
    return method


class _yielding(Generic[T]):
    """A property that an attribute of the user's own of the same name replaces."""

    def __init__(self, get: Callable[[Any], T]) -> None:
        self._get = get
        self.__doc__ = get.__doc__

    @overload
    def __get__(self, actor: None, owner: type) -> _yielding[T]: ...

    @overload
    def __get__(self, actor: object, owner: type) -> T: ...

    def __get__(self, actor: object, owner: type) -> T | _yielding[T]:
        return self if actor is None else self._get(actor)


class Actor:
    """The base of all actors.

    Public async methods are the messages; public async generators are messages with a streamed reply.
    Messages are handled one at a time, in the order each sender sent them, so plain attributes are safe
    state. Two kinds run beside the others, taking turns with them only where they await: streams, which
    may last, and methods marked `@actors.concurrent`.

    `__init__` runs in the place where the actor lives; then `started`, and with its return the actor is
    ready. `stopping` runs when it is asked to stop, when it ends itself with `self.stop()` and when it
    crashes, but not when it is killed. An exception in a call goes to its caller; one in a cast, a hook or a
    task of `self.nursery` crashes the actor and its supervisor decides.
    """

    __actor_messages__: ClassVar[dict[str, bool | None]] = {}  # name -> is it a stream? None: not async
    _actor_life: Life

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {
            name: method
            for name, method in inspect.getmembers(cls, inspect.isfunction)
            if not name.startswith("_") and name not in HOOKS and method is not getattr(Actor, name, None)
        }
        cls.__actor_messages__ = {
            name: inspect.isasyncgenfunction(method) if _is_async(method) else None for name, method in own.items()
        }
        taken = sorted(name for name in own if name in RESERVED and _is_async(own[name]))
        if taken:
            raise TypeError(
                f"{cls.__name__} cannot have a message called {', '.join(taken)}: references have an attribute of "
                "that name; choose another name"
            )

    async def started(self) -> None:
        """Get ready: open files, start tasks in `self.nursery`. The supervisor waits for this to return."""

    async def stopping(self) -> None:
        """Clean up. No further message will come; the nursery's tasks are cancelled afterwards."""

    @_yielding
    def ref(self) -> Ref[Any]:
        """The reference to this actor, to hand to others."""
        return self._actor_life.ref

    @_yielding
    def name(self) -> str:
        """Its path in the tree, such as "root/bank/ann"."""
        return self._actor_life.context.name

    @_yielding
    def nursery(self) -> trio.Nursery:
        """For tasks beside the messages; they live as long as the actor, and crash it when they raise."""
        return self._actor_life.nursery

    def stop(self) -> None:
        """End after the current message, as a clean exit; messages still waiting find their actor dead."""
        self._actor_life.stop()

    async def find(self, path: str) -> Ref[Any]:
        """The actor called "name" or "supervisor/name": a sibling first, then upwards. Raises NoSuchChild."""
        return await self._actor_life.find(path)


def _is_async(method: Any) -> bool:
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


RESERVED = frozenset(name for name in dir(Ref) if not name.startswith("_"))


class Life:
    """What an actor knows of itself while it runs."""

    nursery: trio.Nursery

    def __init__(self, context: Context, node: Node) -> None:
        self.context = context
        self.node = node
        self.messages: dict[str, bool | None] = {}
        self.stopped = False
        self.ending: Reason | None = None
        self._hear_stop: list[Callable[[], None]] = []

    @property
    def ref(self) -> Ref[Any]:
        me = self.context
        target = Target(me.name, me.uid, me.generation, me.lineage, me.board, self.messages)
        return Ref(target, self.node)

    async def find(self, path: str) -> Ref[Any]:
        me = self.context
        return await references.find(((me.uid, me.generation), *me.lineage), me.board, self.node, path)

    def stop(self) -> None:
        self.end(Normal())

    def end(self, reason: Reason) -> None:
        """End after the current message, for this reason unless it was stopped before."""
        if not self.stopped:
            self.ending = reason
            self.obey()

    def obey(self) -> None:
        """Its supervisor asks it to stop."""
        self.stopped = True
        for hear in self._hear_stop:
            hear()

    @contextmanager
    def when_stopped(self, hear: Callable[[], None]) -> Iterator[None]:
        """Call `hear` when it is stopped while the block runs, or at once."""
        self._hear_stop.append(hear)
        if self.stopped:
            hear()
        try:
            yield
        finally:
            self._hear_stop.remove(hear)


def messages_of(cls: type[Actor]) -> dict[str, bool | None]:
    """The public methods of an actor class: is it a stream? None for one that is not async, and so no message."""
    return cls.__actor_messages__


def born(cls: type[Actor], args: tuple[Any, ...], kwargs: dict[str, Any], life: Life) -> Actor:
    """Make an actor that knows itself already in its `__init__`."""
    actor = cls.__new__(cls, *args, **kwargs)
    actor._actor_life = life
    life.messages = messages_of(cls)
    cls.__init__(actor, *args, **kwargs)
    return actor
