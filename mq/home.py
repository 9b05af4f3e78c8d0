"""Where may a socket be used? In the thread and process of the Trio run that opened it, and nowhere else."""

from __future__ import annotations

import os
import weakref
from threading import get_ident
from typing import Any, NoReturn, SupportsIndex

import trio

from .errors import NotOpen, WrongThread

_NOWHERE = 0
_residents: weakref.WeakSet[Resident] = weakref.WeakSet()


class Resident:
    """The base class of objects that belong to one Trio run.

    Hot paths compare ``_thread`` with the current thread inline. They skip that if the call is harmless in any thread.
    """

    def __init__(self) -> None:
        self._thread = _NOWHERE
        self._process = 0

    @property
    def _lives_here(self) -> bool:
        return self._process != 0

    def _move_in(self) -> None:
        if self._process:
            raise NotOpen(f"this {type(self).__name__} was opened before: make a new one for a second block")
        if not trio.lowlevel.in_trio_task():
            raise NotOpen(
                f"a {type(self).__name__} can only be opened in a Trio task, and no Trio task runs here: start with "
                "trio.run(main); asyncio cannot run a socket"
            )
        self._thread = get_ident()
        self._process = os.getpid()
        _residents.add(self)

    def _evict(self) -> None:
        """Mark the object as unusable, because this process is a forked child of the process that opened it."""
        self._thread = _NOWHERE

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        if self._lives_here:
            raise TypeError(
                f"an open {type(self).__name__} cannot be copied or pickled: pass its endpoint, and open another "
                "socket there"
            )
        return super().__reduce_ex__(protocol)

    def _check_home(self) -> None:
        if self._thread != get_ident():
            self._complain()

    def _complain(self) -> NoReturn:
        name = type(self).__name__
        if not self._process:
            raise NotOpen(f"this {name} is not open: write 'async with mq.{name}() as socket:' and use it inside")
        if self._process != os.getpid():
            raise WrongThread(
                f"this {name} was opened in process {self._process} and used after a fork in process {os.getpid()}: "
                "open a new one here"
            )
        raise WrongThread(
            f"this {name} belongs to the Trio run of another thread: open one here and connect the two over inproc://, "
            "or call it with trio.from_thread.run"
        )


def _evict_all() -> None:
    for resident in list(_residents):
        resident._evict()


os.register_at_fork(after_in_child=_evict_all)
