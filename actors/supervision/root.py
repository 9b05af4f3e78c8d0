"""Where does a tree begin? In a block that owns it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from actors import scopes
from actors.directories import open_directory
from actors.errors import RestartsExhausted, SpecError, StartFailed
from actors.life.actor import Actor
from actors.nodes.node import open_node
from actors.nodes.references import Ref
from actors.supervision.keeper import Keeper
from actors.supervision.slots import ChildInfo, Counts
from actors.supervision.supervisor import as_spec, find_below, open_keeper
from actors.values.messages import Context
from actors.values.reasons import UNGUARDED
from actors.values.spec import Backoff, Child, Place, Restart, Spec, Strategy, Supervisor
from actors.values.uids import new_root

A = TypeVar("A", bound=Actor)


class Root:
    """The supervisor at the top of a tree, from `open_supervisor`."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    async def start(
        self,
        cls: type[A] | Spec,
        /,
        *args: Any,
        place: Place = "task",
        name: str | None = None,
        restart: Restart = "permanent",
        shutdown: float = 5.0,
        start_timeout: float = 30.0,
        backoff: Backoff | float | None = None,
        mailbox: int = 1000,
        **kwargs: Any,
    ) -> Ref[A]:
        """Start a child and wait until it is ready; options as for Child, or give a Child or Supervisor.

        Raises SpecError, StartFailed, with what its constructor or `started` raised as the __cause__; ChildExists.
        """
        if isinstance(cls, Child | Supervisor):
            spec = as_spec(cls, args, kwargs)
        else:
            spec = Child(
                cls, *args, place=place, name=name, restart=restart, shutdown=shutdown,
                start_timeout=start_timeout, backoff=backoff, mailbox=mailbox, **kwargs,
            )  # fmt: skip
        try:
            return await self._keeper.start(spec)
        except (SpecError, StartFailed) as error:
            # The frames of this package tell a user nothing.
            raise error.with_traceback(None) from error.__cause__

    async def stop(self, name: str) -> None:
        """Stop a child; it is kept, down (a temporary one is forgotten). A pending restart is dropped.

        Raises NoSuchChild.
        """
        await self._keeper.stop(name)

    async def restart(self, name: str) -> Ref[Any]:
        """Start a child that is down and wait until it is ready. Raises ChildRunning, StartFailed."""
        return await self._keeper.restart(name)

    def delete(self, name: str) -> None:
        """Forget a child that is down. Raises ChildRunning, NoSuchChild."""
        self._keeper.delete(name)

    def children(self) -> list[ChildInfo]:
        """The children in start order, with their states."""
        return self._keeper.children()

    def count(self) -> Counts:
        """How many children there are, by kind."""
        return self._keeper.count()

    @property
    def shut_down(self) -> bool:
        """Has auto_shutdown ended the tree?"""
        return self._keeper.shut_down.is_set()

    async def wait_idle(self) -> None:
        """Wait until every child is down for good: none runs, and none will be started again."""
        await self._keeper.wait_idle()

    async def get(self, path: str) -> Ref[Any]:
        """The actor called "name" or "supervisor/name". Raises NoSuchChild."""
        return await find_below(self._keeper, path)


@asynccontextmanager
async def open_supervisor(
    *children: Spec,
    strategy: Strategy = "one_for_one",
    intensity: int = 1,
    period: float = 5.0,
    name: str = "root",
) -> AsyncIterator[Root]:
    """Open the root of a tree; entering waits until the given children are ready, in order.

    Leaving the block, in order or by exception or cancellation, stops all children in reverse order, each
    within its `shutdown` seconds. When the restarts are exhausted the block is cancelled and
    RestartsExhausted comes out of it; StartFailed if one of `children` does not become ready.
    """
    spec = Supervisor(*children, strategy=strategy, intensity=intensity, period=period, name=name)
    try:
        async with open_root(spec) as root:
            yield root
    except (RestartsExhausted, StartFailed) as error:
        # The frames of this package tell a user nothing.
        raise error.with_traceback(None) from error.__cause__


@asynccontextmanager
async def open_root(spec: Supervisor) -> AsyncIterator[Root]:
    """The same from a ready-made spec."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(UNGUARDED)  # this process has only begun to import the main module: its supervisor explains
    uid, name = new_root(), spec.name or "root"
    with open_directory() as directory:
        address = f"{directory}/{uid}"
        async with scopes.apart(open_node(directory, address, root=uid)) as node:
            context = Context(name, uid, 0, directory, 1000, (), board=address)
            async with open_keeper(spec, context, node) as keeper:
                yield Root(keeper)
