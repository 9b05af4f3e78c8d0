"""Who listens where in this process? The names of ``inproc://``, shared by all threads.

Either order works: whoever connects to a name that nobody has bound waits here for the one who will.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import Generic, TypeVar

from attrs import define, field

from ..errors import BindError

B = TypeVar("B")
C = TypeVar("C")


@define
class Exchange(Generic[B, C]):
    """Names, those who have bound them, and those who wait for somebody to do so."""

    lock: threading.RLock = field(factory=threading.RLock)
    bound: dict[str, B] = field(factory=dict)
    waiting: dict[str, list[C]] = field(factory=dict)

    def bind(self, name: str, binder: B) -> list[C]:
        """Give ``name`` to ``binder``, and return those who waited for it. Raises `BindError`."""
        with self.lock:
            if name in self.bound:
                raise BindError(
                    errno.EADDRINUSE,
                    f"cannot bind 'inproc://{name}': {os.strerror(errno.EADDRINUSE)}: another socket of this "
                    "process has that name; close it, or choose another",
                )
            self.bound[name] = binder
            return self.waiting.pop(name, [])

    def connect(self, name: str, connecter: C) -> B | None:
        """Return who has bound ``name``, or have ``connecter`` wait for it and return None."""
        with self.lock:
            binder = self.bound.get(name)
            if binder is None:
                self.waiting.setdefault(name, []).append(connecter)
            return binder

    def forget_all(self) -> None:
        """Begin anew in a forked child: all these sockets are the parent's, and so may be the lock."""
        self.lock = threading.RLock()
        self.bound.clear()
        self.waiting.clear()

    def unbind(self, name: str, binder: B) -> None:
        """Free ``name``, if it is ``binder``'s."""
        with self.lock:
            if self.bound.get(name) is binder:
                del self.bound[name]

    def withdraw(self, name: str, connecter: C) -> None:
        """Have ``connecter`` wait no longer."""
        with self.lock:
            waiting = self.waiting.get(name, [])
            if connecter in waiting:
                waiting.remove(connecter)
            if not waiting:
                self.waiting.pop(name, None)
