"""Which OS sockets belong to this process? A forked child closes its copies of those of its parent.

Otherwise the ports and connections of the parent would stay open until the child ends. The child only closes its
descriptors. It shuts no connection down, because that would end the connection for the parent as well. It removes no
file, and does not touch the parent's Trio run.
"""

from __future__ import annotations

import os
import socket
import weakref

_owned: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def own(sock: socket.socket) -> None:
    """Have a forked child close its copy of ``sock``."""
    _owned.add(sock)


def _close_copies() -> None:
    for sock in list(_owned):
        sock.close()


os.register_at_fork(after_in_child=_close_copies)
