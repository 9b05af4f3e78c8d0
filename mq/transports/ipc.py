"""How do bytes travel between processes of one machine? Unix sockets: paths and Linux's abstract names.

libzmq removes any file at the path that it binds. Here, `paths` decides which paths may be taken over.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import partial

from ..endpoint import IPC_PATH_LIMIT, Ipc
from ..errors import InvalidEndpoint
from ..options import Options
from . import paths, socket_options, sockets
from .admission import by_process, credentials
from .rounds import Rounds

_ADVICE = sockets.ADVICE | {
    errno.EADDRINUSE: "a live process listens there; stop it, or bind another path or 'ipc://*'"
}


class IpcTransport:
    """The scheme ``ipc``."""

    def listen(self, endpoint: Ipc, options: Options) -> sockets.SocketListener:
        try:
            prepare = partial(_prepare, options, by_process(options))
            if options.use_fd is not None:
                sock = sockets.adopt(options, (socket.AF_UNIX,))
                # The file at the path belongs to the program that made the descriptor, so it is not removed.
                return sockets.SocketListener(sock, _endpoint_of(sock.getsockname()), prepare)
            sock, endpoint, clean_up = _bind(endpoint, options)
        except OSError as error:
            raise sockets.bind_error(endpoint.text, error, _ADVICE) from None
        return sockets.SocketListener(sock, str(endpoint), prepare, clean_up)

    def check(self, endpoint: Ipc, options: Options) -> None:
        if endpoint.wildcard:
            raise InvalidEndpoint("endpoint 'ipc://*' cannot be connected to: use the endpoint that bind() returns")

    async def connect(self, endpoint: Ipc, options: Options, rounds: Rounds) -> sockets.SocketStream:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            address = _abstract_address(endpoint) if endpoint.abstract else endpoint.path
            socket_options.apply(sock, options)
        except BaseException:
            sock.close()
            raise
        try:
            stream = await sockets.connect(sock, address, str(endpoint))
        except OSError as error:
            reason = "" if endpoint.abstract else paths.why_not_reached(endpoint.path)
            if not reason:
                raise
            raise OSError(error.errno, f"{error.strerror}: {reason}") from None
        stream.peer = _describe(sock)
        return stream


IPC = IpcTransport()


def _bind(endpoint: Ipc, options: Options) -> tuple[socket.socket, Ipc, Callable[[], None] | None]:
    """Return a socket that listens at ``endpoint``, its endpoint with a path, and a function that removes the file."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    clean_up: Callable[[], None] | None = None
    try:
        socket_options.apply(sock, options)
        if endpoint.abstract:
            sock.bind(_abstract_address(endpoint))
        elif endpoint.wildcard:
            endpoint, clean_up = _bind_chosen(sock)
        else:
            clean_up = paths.bind(sock, endpoint.path)
        sock.listen(min(options.backlog, socket_options.LARGEST))
    except BaseException:
        if clean_up is not None:
            clean_up()
        sock.close()
        raise
    return sock, endpoint, clean_up


def _endpoint_of(address: str | bytes) -> str:
    """Return the endpoint of an OS address; abstract names are bytes after a NUL."""
    path = os.fsdecode(address)
    return str(Ipc(f"@{path[1:]}" if path.startswith("\0") else path))


def _abstract_address(endpoint: Ipc) -> bytes:
    if sys.platform != "linux":
        raise InvalidEndpoint(f"endpoint {endpoint.text!r} has an abstract name, which only Linux supports: use a path")
    return b"\0" + os.fsencode(endpoint.path[1:])


def _bind_chosen(sock: socket.socket) -> tuple[Ipc, Callable[[], None]]:
    """Bind a path in a new directory that only this user can enter. Return the endpoint, and a removing function."""
    directory = tempfile.mkdtemp(prefix="mq-")
    path = os.path.join(directory, "socket")
    if len(os.fsencode(path)) > IPC_PATH_LIMIT:
        shutil.rmtree(directory)
        raise OSError(errno.ENAMETOOLONG, f"the path {path!r} in the temporary directory is too long for a Unix socket")
    try:
        sock.bind(path)
    except BaseException:
        shutil.rmtree(directory)
        raise
    return Ipc(path), lambda: shutil.rmtree(directory, ignore_errors=True)


def _prepare(options: Options, admit: Callable[[str, socket.socket], None], sock: socket.socket) -> str:
    peer = _describe(sock)
    admit(peer, sock)
    socket_options.apply_to_accepted(sock, options)
    return peer


def _describe(sock: socket.socket) -> str:
    """Return a text that identifies the process of the peer."""
    if sys.platform != "linux":
        return "ipc"
    pid, uid, _ = credentials(sock)
    return f"pid {pid} of user {uid}"
