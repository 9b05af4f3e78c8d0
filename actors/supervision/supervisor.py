"""What is a supervisor to its own supervisor? An actor whose messages manage its children."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from actors import scopes
from actors.errors import ActorDied
from actors.life.actor import Actor, concurrent
from actors.nodes.node import Node
from actors.nodes.references import Ref
from actors.supervision.keeper import Keeper
from actors.supervision.slots import ChildInfo, Counts
from actors.values.messages import Context
from actors.values.reasons import Shutdown
from actors.values.spec import Child, Spec, Supervisor


@asynccontextmanager
async def open_keeper(spec: Supervisor, context: Context, node: Node) -> AsyncIterator[Keeper]:
    """Start the children of `spec`; leaving the block, however, stops all children in reverse order.

    Raises RestartsExhausted out of the block, which it cancels, when the restarts are spent.
    """
    async with scopes.apart(scopes.open_nursery()) as nursery:
        keeper = Keeper(lambda _spec: SupervisorActor, spec, context, node, nursery)
        nursery.start_soon(keeper.clock)
        try:
            with keeper.body:
                await keeper.start_all()
                yield keeper
        finally:
            with trio.CancelScope(shield=True):
                try:
                    await keeper.stop_all()
                finally:
                    nursery.cancel_scope.cancel()
    if keeper.failure is not None:
        # From its cause, and without whatever was cancelled meanwhile.
        raise keeper.failure from keeper.cause


class SupervisorActor(Actor):
    """A supervisor as the child of another: what `open_supervisor` gives, as messages."""

    def __init__(self, spec: Supervisor) -> None:
        self._spec = spec
        self._keeper: Keeper | None = None
        self._stop = trio.Event()
        self._stopped = trio.Event()

    async def started(self) -> None:
        await self.nursery.start(self._keep)

    async def stopping(self) -> None:
        self._stop.set()
        await self._stopped.wait()

    async def _keep(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            async with open_keeper(self._spec, self._actor_life.context, self._actor_life.node) as self._keeper:
                task_status.started()
                await self._stop.wait()
        finally:
            self._stopped.set()
        if self._keeper.shut_down.is_set():
            self._actor_life.end(Shutdown())

    @property
    def _running(self) -> Keeper:
        if self._keeper is None:
            raise ActorDied(Shutdown(), self.name)
        return self._keeper

    @concurrent
    async def start(self, cls: type[Any] | Spec, *args: Any, **options: Any) -> Ref[Any]:
        """Start a child here; arguments and errors as for `open_supervisor().start`."""
        return await self._running.start(as_spec(cls, args, options))

    @concurrent
    async def halt(self, name: str) -> None:
        """Stop a child; it is kept, down."""
        await self._running.stop(name)

    @concurrent
    async def restart(self, name: str) -> Ref[Any]:
        return await self._running.restart(name)

    @concurrent
    async def delete(self, name: str) -> None:
        self._running.delete(name)

    @concurrent
    async def children(self) -> list[ChildInfo]:
        return self._running.children()

    @concurrent
    async def count(self) -> Counts:
        return self._running.count()

    @concurrent
    async def get(self, path: str) -> Ref[Any]:
        """The child called "name" or "supervisor/name"."""
        return await find_below(self._running, path)


async def find_below(keeper: Keeper, path: str) -> Ref[Any]:
    first, _, rest = path.partition("/")
    found: Ref[Any] = keeper.get(first)
    return await found.get(rest) if rest else found


def as_spec(cls: type[Any] | Spec, args: tuple[Any, ...], options: dict[str, Any]) -> Spec:
    """A Child from a class and options, or the spec that was given ready-made."""
    if isinstance(cls, Child | Supervisor):
        if args or options:
            raise TypeError("a ready-made Child or Supervisor takes no further arguments")
        return cls
    return Child(cls, *args, **options)
