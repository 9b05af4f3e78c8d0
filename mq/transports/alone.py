"""May a task block its thread until the kernel has something for it? Yes, while no other task of its run could run.

A wait through Trio's scheduler changes Trio's epoll set twice and takes a pass of the run loop. In a dialogue that
costs more than the rest of a round trip. A task that is the only runnable one of its run may block the thread in poll()
instead, if whatever could make another task runnable ends the poll as well:

- I/O that another task waits for, a call from another thread, and a signal: each makes Trio's epoll descriptor
  readable, so the poll includes that descriptor.
- A deadline: the poll ends with the next one.
- The calling task itself: it does nothing while it polls.

Trio has no public names for these facts, so this file reads private ones, and changes none. Where a name is missing,
and where a run is not an ordinary one, `Stream.block` returns False at once, and every wait goes through Trio.
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
"""Tasks of a run from which on none is taken to be alone: to look at each of them would take too long."""

_LONGEST = 60_000.0
"""Milliseconds of one poll, at most."""

_GLANCE = 40e-6
"""Seconds of a glance: less than it takes to fall asleep and to be woken."""

_MOST_REST = 255
"""Waits without a glance between two glances in vain, at most."""

_is_runnable = attrgetter("_next_send_fn")


def blocker(sock: socket.socket) -> Callable[[], bool]:
    """Return the `Stream.block` of ``sock``, for the run of the calling task."""
    solitude = _of_this_run()
    return _never if solitude is None else Blocker(solitude, sock).block


def _never() -> bool:
    return False


class Blocker:
    """Blocks the thread until a socket is readable.

    To fall asleep and to be woken takes more processor time than a short glance. So a wait begins with one, unless the
    last glances were in vain: the peer is slow then, or has no core of its own to answer on.
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
        """Waits without a glance that are to come."""
        self._in_vain = 0
        """Waits without a glance after the last glance in vain."""

    def block(self) -> bool:
        """Block until something is ready, or Trio's next deadline passes; return whether only the socket is ready.

        Return False at once when another task can run now, and when the calling task is cancelled.
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
    """What a task of one Trio run can know about the other tasks of that run."""

    __slots__ = ("_deadlines", "_now", "_point", "_runnable", "_runner", "_task", "descriptor")

    def __init__(self, runner: Any) -> None:
        """Raises AttributeError and KeyError when this version of Trio uses other names."""
        self.descriptor: int = runner.io_manager._epoll.fileno()
        """Readable as soon as Trio has I/O to process."""
        self._runner = runner
        self._runnable = runner.runq
        self._deadlines = runner.deadlines
        self._now: Callable[[], float] = runner.clock.current_time
        self._task: Callable[[], object] = _never
        """The task that was alone when it was last looked at, as a weak reference."""
        self._point = 0
        """The step of that task: Trio counts them."""
        self._begin_step(trio.lowlevel.current_task())

    def milliseconds(self) -> float:
        """Return for how long no other task can run unless `descriptor` becomes readable.

        Return 0 when another task can run now, and when the calling task is cancelled.
        """
        if self._runnable:
            return 0.0
        task: Any = trio.lowlevel.current_task()
        # Later in the same step, another task is runnable only if this one made it so, and then it is in the queue.
        same_step = task._schedule_points == self._point and self._task() is task
        if not (same_step or self._begin_step(task)) or task._cancel_status.effectively_cancelled:
            return 0.0
        left: float = (self._deadlines.next_deadline() - self._now()) * 1000
        return min(left, _LONGEST) if left > 0 else 0.0

    def _begin_step(self, task: Any) -> bool:
        """Return whether ``task`` is alone in its present step. Trio takes several tasks at a time from its queue."""
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
    """Return what the run of the calling task knows, or None where every wait has to go through Trio.

    Every wait has to outside a run, on systems without epoll, with a clock other than the system's, and with a version
    of Trio whose private names are others.
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
