"""How does an OS socket serve as a stream or a listener? The code that tcp and ipc share."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from time import perf_counter

import trio

from ..errors import BindError
from ..options import Options
from . import alone, shortage, socket_options
from .ownership import own

_GATHER_LIMIT = 64
"""The maximum number of buffers in one write. The kernel rarely accepts more bytes, and a retry stays cheap."""

_GLANCE = 40e-6
"""The duration of a busy wait in seconds. To sleep and to be woken costs more than this."""

_SELECT_LIMIT = 1024
"""select() accepts only descriptors below this number."""

if sys.platform == "linux":
    import fcntl
    from termios import TIOCOUTQ as _SIOCOUTQ

    def _in_send_buffer(sock: socket.socket) -> int | None:
        """Return how many unacknowledged bytes the kernel holds for the peer of ``sock``. A FIN counts as one byte."""
        try:
            [size] = struct.unpack("i", fcntl.ioctl(sock, _SIOCOUTQ, bytes(4)))
        except OSError:
            return None
        return int(size)

    _TCP_INFO = struct.Struct("=xxB5x 36xI8xI8xI")
    """Fields of struct tcp_info: retransmits; ms since the last sent data and acknowledgement; round trip in µs."""

    def _unanswered(sock: socket.socket) -> float:
        """Return for how many seconds nothing was acknowledged, if a segment was sent again in vain since; else 0.

        A kernel with a full receive buffer discards each segment that is sent again, but acknowledges it.
        """
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
            retransmits, sent, acknowledged, round_trip = _TCP_INFO.unpack(info)
        except (OSError, struct.error):  # not TCP, or an old kernel
            return 0.0
        in_vain = retransmits and acknowledged - _TICK > sent > _TICK + 2 * round_trip / 1000
        return acknowledged / 1000 if in_vain else 0.0

    _TICK = 20
    """The inaccuracy of the two times in milliseconds: they may differ by this much for the same moment."""

else:

    def _unanswered(sock: socket.socket) -> float:
        """Return 0, because these systems have no common call for this time."""
        return 0.0

    def _in_send_buffer(sock: socket.socket) -> int | None:
        """Return None, because these systems have no common call for this number."""
        return None



_ENDED = getattr(select, "POLLRDHUP", 0)
"""The flags of a poll that reports only the end of a connection, and the peer's half-close if the system has that."""


class SocketStream:
    """A connected stream socket."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        own(sock)
        sock.setblocking(False)
        self.peer = peer
        self.read_nowait: Callable[[int], bytes] = sock.recv
        self.read_into_nowait: Callable[[memoryview], int] = sock.recv_into
        self.send_nowait: Callable[[bytes], int] = sock.send
        self.wait_readable: Callable[[], Awaitable[None]] = partial(trio.lowlevel.wait_readable, sock.fileno())
        self.wait_writable: Callable[[], Awaitable[None]] = partial(trio.lowlevel.wait_writable, sock.fileno())
        self._sock = sock
        self._descriptor = sock.fileno()
        self._ended = False
        self.acknowledges_for_process = sock.family == socket.AF_UNIX
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        self._poll: Callable[[int], object] = poller.poll
        self.block: Callable[[], bool] = alone.blocker(sock)

    def write_nowait(self, buffers: Sequence[bytes | memoryview]) -> int:
        if len(buffers) == 1:
            return self._sock.send(buffers[0])
        return self._sock.sendmsg(buffers[:_GATHER_LIMIT])

    def look(self, seconds: float) -> bool:
        poll = self._poll
        until = perf_counter() + min(seconds, _GLANCE)
        while not poll(0):
            if perf_counter() > until:
                break
        else:
            return True
        if seconds <= _GLANCE or self._descriptor >= _SELECT_LIMIT:
            return False
        # poll() counts in milliseconds.
        return bool(select.select((self._descriptor,), (), (), seconds - _GLANCE)[0])

    def has_ended(self) -> bool:
        if self._sock.fileno() == -1:
            return True
        poller = select.poll()
        poller.register(self._sock, _ENDED)
        return bool(poller.poll(0))

    def stir(self) -> None:
        if self._sock.fileno() != -1:
            trio.lowlevel.notify_closing(self._sock)

    def end_writing(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # the peer has already closed
                raise
        self._ended = True

    def unacknowledged(self) -> int | None:
        size = _in_send_buffer(self._sock)
        if size and self._ended and not self.acknowledges_for_process:
            return size - 1  # the FIN
        return size

    def unanswered(self) -> float:
        return 0.0 if self.acknowledges_for_process else _unanswered(self._sock)

    def is_broken(self) -> bool:
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    def close(self) -> None:
        close(self._sock)


class SocketListener:
    """A listening OS socket. ``describe`` prepares an accepted connection and returns its name, or rejects the peer."""

    def __init__(
        self,
        sock: socket.socket,
        endpoint: str,
        describe: Callable[[socket.socket], str],
        on_close: Callable[[], None] | None = None,
    ) -> None:
        own(sock)
        sock.setblocking(False)
        self.endpoint = endpoint
        self._sock = sock
        self._describe = describe
        self._on_close = on_close

    async def accept(self) -> SocketStream:
        while True:
            if self._sock.fileno() == -1:
                raise trio.ClosedResourceError("this listener has been closed")
            await trio.lowlevel.wait_readable(self._sock)
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue  # the peer has already disconnected
            try:
                return SocketStream(sock, self._describe(sock))
            except OSError as error:
                sock.close()  # the peer disconnected before its address was read
                if shortage.is_shortage(error):
                    raise
            except BaseException:
                sock.close()
                raise

    def close(self) -> None:
        if self._sock.fileno() != -1 and self._on_close is not None:
            self._on_close()  # before the close, because afterwards another process may take over the path
        close(self._sock)


def close(sock: socket.socket) -> bool:
    """Close ``sock``, and wake the tasks that wait for it. Return whether it was open."""
    if sock.fileno() == -1:
        return False
    trio.lowlevel.notify_closing(sock)
    sock.close()
    return True


async def connect(sock: socket.socket, address: object, peer: str) -> SocketStream:
    """Connect ``sock`` to ``address``, or close it and raise OSError."""
    own(sock)
    sock.setblocking(False)
    try:
        try:
            sock.connect(address)  # type: ignore[arg-type]
        except BlockingIOError as error:
            if sock.family == socket.AF_UNIX:  # the backlog is full, and no event reports when it has room
                raise OSError(error.errno, "too many connections wait to be accepted there") from None
            await trio.lowlevel.wait_writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code)) from None
        return SocketStream(sock, peer)
    except BaseException:
        close(sock)
        raise


def adopt(options: Options, families: Collection[int]) -> socket.socket:
    """Return the OS socket with the descriptor ``options.use_fd``, which must listen and be of one of ``families``.

    Raises OSError if it does not, and leaves the descriptor open.
    """
    descriptor = options.use_fd
    try:
        sock = socket.socket(fileno=descriptor)
    except (OSError, OverflowError) as error:
        code = getattr(error, "errno", errno.EBADF)
        raise OSError(code, f"use_fd={descriptor} is not an open socket: {os.strerror(code)}") from None
    try:
        if sock.family not in families or sock.type != socket.SOCK_STREAM:
            kind = f"{sock.family!r}, {sock.type!r}"
            raise OSError(errno.EINVAL, f"use_fd={descriptor} is a socket of {kind}: bind an endpoint of that kind")
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(errno.EINVAL, f"use_fd={descriptor} does not listen: call listen() on it first")
        socket_options.apply_to_accepted(sock, options)
    except BaseException:
        sock.detach()
        raise
    sock.set_inheritable(False)
    return sock


ADVICE = shortage.ADVICE | {
    errno.EADDRINUSE: "another socket listens there; stop it, or let the system choose with port '*'",
    errno.EADDRNOTAVAIL: "this machine does not have that address; use '*' to listen on all its addresses",
    errno.EACCES: "ports below 1024 need a privilege, and paths need a directory that you may write to",
    errno.ENOENT: "its directory does not exist; create it first",
}
"""The advice for each error number of bind()."""


def bind_error(endpoint: str, error: OSError, advice: Mapping[int, str] = ADVICE) -> BindError:
    """Return the error for an ``endpoint`` that cannot be bound, with advice."""
    code = error.errno or 0
    reason = error.strerror or str(error)
    if reason == os.strerror(code) and code in advice:  # the texts of mq contain their own advice
        reason = f"{reason}: {advice[code]}"
    return BindError(error.errno, f"cannot bind {endpoint!r}: {reason}")
