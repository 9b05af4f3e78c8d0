"""What does a node know of an actor? Where it is, how much room its mailbox has, and which tasks wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import outcome
import trio
from attrs import Factory, define

from actors.errors import ActorDied
from actors.values.messages import Address, Down, End, Item, Message, Raised, Reply, Up
from actors.values.reasons import Reason


class Waiting(Protocol):
    """Something that hears the answers to one call."""

    def hear(self, message: Reply | Raised | Item | End, payload: list[bytes]) -> None: ...

    def died(self, error: ActorDied) -> None: ...


class Mourner(Protocol):
    """Something that hears of deaths."""

    def hear(self, down: Down) -> None: ...


@define(eq=False)
class Peer:
    """An actor as this node knows it."""

    name: str
    uid: str
    board: Address
    generation: int = 0
    node: Address = ""  # "" while it is down or starts
    room: int = 0  # messages that may still be sent to its mailbox
    known: bool = False  # the board has answered
    final: Reason | None = None
    last: Reason | None = None  # of the last death we heard of
    changed: trio.lowlevel.ParkingLot = Factory(trio.lowlevel.ParkingLot)
    roomy: trio.lowlevel.ParkingLot = Factory(trio.lowlevel.ParkingLot)
    waiting: dict[int, Waiting] = Factory(dict)
    mourners: set[Mourner] = Factory(set)

    def died(self, reason: Reason) -> ActorDied:
        return ActorDied(reason, self.name)

    def up(self, message: Up) -> None:
        self.known = True
        self.generation, self.node, self.room = message.generation, message.node, message.capacity
        self.changed.unpark_all()

    def more(self, messages: int) -> None:
        """Its mailbox has room for so many more."""
        self.room += messages
        if self.roomy:
            self.roomy.unpark(count=messages)

    def down(self, down: Down) -> list[int]:
        """An incarnation has ended, and with it all calls to it; returns their ids."""
        self.known = True
        self.generation, self.node, self.room, self.last = down.following, "", 0, down.reason
        self.final = down.reason if down.final else None
        waiting, self.waiting = self.waiting, {}
        for one in waiting.values():
            one.died(self.died(down.reason))
        for mourner in list(self.mourners):
            mourner.hear(down)
        self.roomy.unpark_all()
        self.changed.unpark_all()
        return list(waiting)


class Answer:
    """The answer to one call, and the task that waits for it."""

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._outcome: outcome.Outcome[Any] | None = None

    def hear(self, message: Reply | Raised | Item | End, payload: list[bytes]) -> None:
        self._set(outcome.Value((message, payload)))

    def died(self, error: ActorDied) -> None:
        self._set(outcome.Error(error))

    def _set(self, result: outcome.Outcome[Any]) -> None:
        if self._outcome is None:
            self._outcome = result
            if self._task is not None:
                task, self._task = self._task, None
                trio.lowlevel.reschedule(task, outcome.Value(None))

    async def wait(self) -> tuple[Message, list[bytes]]:
        if self._outcome is None:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        assert self._outcome is not None
        result: tuple[Message, list[bytes]] = self._outcome.unwrap()
        return result

    def _abort(self, _raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
