"""Which actors wait for the answer to a call? The chain of those whose messages are being handled."""

from __future__ import annotations

from contextvars import ContextVar

import trio
from attrs import define

from actors.values.messages import Chain


@define(eq=False)
class Turn:
    """One message being handled. The task that handles it, and those that it waits for, hold the turn."""

    task: trio.lowlevel.Task
    beside: frozenset[trio.Nursery]  # tasks in these outlive the message: nobody waits for them
    chain: Chain


turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


def waiting() -> Chain:
    """The actors that wait, directly or by way of others, until the current task goes on."""
    held = turn.get()
    if held is None:
        return ()
    task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
    while task is not None and task is not held.task:
        nursery = task.parent_nursery
        if nursery is None or nursery in held.beside:
            return ()
        task = nursery.parent_task
    return () if task is None else held.chain
