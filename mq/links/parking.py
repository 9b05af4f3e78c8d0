"""Where does one task wait until another task wakes it? In a seat, the cheapest way for exactly one waiting task."""

from __future__ import annotations

import trio


class Seat:
    """A place where one task waits. ``wake()`` does nothing if no task waits."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None

    async def park(self) -> None:
        """Wait for `wake`."""
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def wake(self) -> None:
        """Have the waiting task run on, at the next tick."""
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
