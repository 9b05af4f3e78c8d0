"""Which OS sockets does an endpoint have? They are found among the descriptors of this process, by their addresses."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from attrs import frozen

from mq import endpoint as endpoints


@frozen
class Sockets:
    """Duplicates of the OS sockets of an endpoint, by their role."""

    listening: list[socket.socket]
    accepted: list[socket.socket]
    connecting: list[socket.socket]


@contextmanager
def sockets_of(endpoint: str) -> Iterator[Sockets]:
    """Find the OS sockets that listen at ``endpoint``, were accepted there, or have connected to it."""
    where = endpoints.parse(endpoint)
    wanted = where.port if isinstance(where, endpoints.Tcp) else where.path  # type: ignore[union-attr]
    found = Sockets([], [], [])
    everything = list(_sockets_of_this_process())
    try:
        for sock in everything:
            if _place(sock.getsockname()) == wanted:
                listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                (found.listening if listens else found.accepted).append(sock)
            else:
                with suppress(OSError):
                    if _place(sock.getpeername()) == wanted:
                        found.connecting.append(sock)
        yield found
    finally:
        for sock in everything:
            sock.close()


def _sockets_of_this_process() -> Iterator[socket.socket]:
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                yield socket.socket(fileno=os.dup(int(name)))


def _place(address: object) -> object:
    return address[1] if isinstance(address, tuple) else address
