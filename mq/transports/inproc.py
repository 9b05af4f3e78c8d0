"""Which socket has bound which ``inproc`` name? All threads of the process share one table of names.

Either order of bind and connect works: a connecter of an unbound name waits in the table until the name is bound.
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
    """The bound names with their binders, and the unbound names with the connecters that wait."""

    lock: threading.RLock = field(factory=threading.RLock)
    bound: dict[str, B] = field(factory=dict)
    waiting: dict[str, list[C]] = field(factory=dict)

    def bind(self, name: str, binder: B) -> list[C]:
        """Give ``name`` to ``binder``, and return the connecters that waited for the name. Raises `BindError`."""
        with self.lock:
            if name in self.bound:
                raise BindError(
                    errno.EADDRINUSE,
                    f"cannot bind 'inproc://{name}': {os.strerror(errno.EADDRINUSE)}: another socket of this "
                    "process has that name; close that socket, or choose another name",
                )
            self.bound[name] = binder
            return self.waiting.pop(name, [])

    def connect(self, name: str, connecter: C) -> B | None:
        """Return the binder of ``name``. If the name is unbound, add ``connecter`` to its waiters and return None."""
        with self.lock:
            binder = self.bound.get(name)
            if binder is None:
                self.waiting.setdefault(name, []).append(connecter)
            return binder

    def forget_all(self) -> None:
        """Clear the table in a forked child: the sockets are the parent's, and a parent's thread may hold the lock."""
        self.lock = threading.RLock()
        self.bound.clear()
        self.waiting.clear()

    def unbind(self, name: str, binder: B) -> None:
        """Free ``name``, if ``binder`` has it."""
        with self.lock:
            if self.bound.get(name) is binder:
                del self.bound[name]

    def withdraw(self, name: str, connecter: C) -> None:
        """Remove ``connecter`` from the waiters for ``name``."""
        with self.lock:
            waiting = self.waiting.get(name, [])
            if connecter in waiting:
                waiting.remove(connecter)
            if not waiting:
                self.waiting.pop(name, None)
