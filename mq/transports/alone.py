"""May a task block its thread until the kernel has something for it? Yes, while no other task of its run could run.

A wait through Trio's scheduler changes Trio's epoll set twice and takes a pass of the run loop. In a dialogue that
costs more than the rest of a round trip. A task that is the only runnable one of its run may block the thread in poll()
instead, if whatever could make another task runnable ends the poll as well:

- I/O that another task waits for, a call from another thread, and a signal: each makes Trio's epoll descriptor
  readable, so the poll includes that descriptor.
- A deadline: the poll ends with the next one.
- The calling task itself: it does nothing while it polls.

Trio has no public names for these facts, so this file reads private ones, and changes none. If a name is missing, or
the run is not an ordinary one, `Stream.block` returns False at once, and every wait goes through Trio.
"""

from __future__ import annotations

import select
import socket
import weakref
from collections.abc import Callable
from operator import attrgetter
from time import perf_counter
from typing import Any

import trio

_MANY = 64
"""If a run has more tasks, no task counts as alone, because checking each of them takes too long."""

_LONGEST = 60_000.0
"""The maximum duration of one poll in milliseconds."""

_GLANCE = 40e-6
"""The duration of a glance in seconds. To sleep and to be woken takes longer."""

_MOST_REST = 255
"""The maximum number of waits without a glance between two glances in vain."""

_is_runnable = attrgetter("_next_send_fn")


def blocker(sock: socket.socket) -> Callable[[], bool]:
    """Return the `Stream.block` of ``sock``, for the run of the calling task."""
    solitude = _of_this_run()
    return _never if solitude is None else Blocker(solitude, sock).block


def _never() -> bool:
    return False


class Blocker:
    """Blocks the thread until a socket is readable.

    A glance is a short busy wait. To sleep and to be woken takes more processor time than a glance. So a wait begins
    with a glance, unless the last glances were in vain: then the peer is slow, or has no processor core of its own.
    """

    __slots__ = ("_descriptor", "_in_vain", "_poll", "_rest", "_solitude")

    def __init__(self, solitude: Solitude, sock: socket.socket) -> None:
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        poller.register(solitude.descriptor, select.POLLIN)
        self._poll = poller.poll
        self._descriptor = sock.fileno()
        self._solitude = solitude
        self._rest = 0
        """The number of waits until the next glance."""
        self._in_vain = 0
        """The number of waits without a glance that followed the last glance in vain."""

    def block(self) -> bool:
        """Block until the socket or Trio has I/O, or Trio's next deadline passes. Return whether only the socket has.

        Return False at once if another task can run now, or if the calling task is cancelled.
        """
        milliseconds = self._solitude.milliseconds()
        if not milliseconds:
            return False
        if self._rest:
            self._rest -= 1
            ready = self._poll(milliseconds)
        else:
            ready = self._poll(0) or self._glance() or self._poll(milliseconds)
        return len(ready) == 1 and ready[0][0] == self._descriptor

    def _glance(self) -> list[tuple[int, int]]:
        poll = self._poll
        until = perf_counter() + _GLANCE
        while perf_counter() < until:
            ready = poll(0)
            if ready:
                self._in_vain = 0
                return ready
        self._rest = self._in_vain = min(2 * self._in_vain + 1, _MOST_REST)
        return []


class Solitude:
    """The state of one Trio run, as far as it decides whether another task can run."""

    __slots__ = ("_deadlines", "_now", "_point", "_runnable", "_runner", "_task", "descriptor")

    def __init__(self, runner: Any) -> None:
        """Raises AttributeError or KeyError if this version of Trio has other names."""
        self.descriptor: int = runner.io_manager._epoll.fileno()
        """The descriptor that becomes readable when Trio has I/O to process."""
        self._runner = runner
        self._runnable = runner.runq
        self._deadlines = runner.deadlines
        self._now: Callable[[], float] = runner.clock.current_time
        self._task: Callable[[], object] = _never
        """A weak reference to the task that was alone at the last check."""
        self._point = 0
        """The number of that task's step. Trio counts the steps of each task."""
        self._begin_step(trio.lowlevel.current_task())

    def milliseconds(self) -> float:
        """Return for how many milliseconds no other task can run, unless `descriptor` becomes readable.

        Return 0 if another task can run now, or if the calling task is cancelled.
        """
        if self._runnable:
            return 0.0
        task: Any = trio.lowlevel.current_task()
        # Later in the same step, another task is runnable only if this task woke it. Then the other task is in runq.
        same_step = task._schedule_points == self._point and self._task() is task
        if not (same_step or self._begin_step(task)) or task._cancel_status.effectively_cancelled:
            return 0.0
        left: float = (self._deadlines.next_deadline() - self._now()) * 1000
        return min(left, _LONGEST) if left > 0 else 0.0

    def _begin_step(self, task: Any) -> bool:
        """Return whether ``task`` is alone in its current step. Trio takes several tasks at a time from its queue."""
        runner = self._runner
        tasks = runner.tasks
        if (
            len(tasks) > _MANY
            or any(map(_is_runnable, tasks))
            or runner.waiting_for_idle
            or runner.instruments["_all"]
            or runner.is_guest
        ):
            return False
        self._task, self._point = weakref.ref(task), task._schedule_points
        return True


_of_run: trio.lowlevel.RunVar[Solitude] = trio.lowlevel.RunVar("_of_run")


def _of_this_run() -> Solitude | None:
    """Return the `Solitude` of the run of the calling task, or None if every wait has to go through Trio.

    The result is None outside a run, on systems without epoll, with a clock other than the system's, and with a version
    of Trio that has other private names.
    """
    try:
        return _of_run.get()
    except (RuntimeError, LookupError):
        pass
    try:
        runner = trio.lowlevel.current_task()._runner
        if type(runner.clock).__name__ != "SystemClock":
            return None
        solitude = Solitude(runner)
    except (AttributeError, KeyError, RuntimeError):
        return None
    _of_run.set(solitude)
    return solitude
