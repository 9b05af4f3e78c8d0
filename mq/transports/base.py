"""What does a transport promise? The contracts that links rely on.

Reading and writing are split into an attempt, which never waits and raises ``BlockingIOError`` when it would,
and a wait: a link tries first, and most of the time needs no more than that one system call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from ..options import Options
from .rounds import Rounds


class TurnedAway(Exception):
    """Somebody connected who, by the options, is not to be taken. The connection is closed."""

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(f"{peer}: {reason}")
        self.peer = peer
        self.reason = reason


class Stream(Protocol):
    """A connected stream of bytes. At most one task waits in each direction."""

    peer: str
    """The other side's address, for events."""
    read_nowait: Callable[[int], bytes]
    """Return up to so many bytes, ``b""`` when the peer has ended its side. Raises OSError when it is gone."""
    read_into_nowait: Callable[[memoryview], int]
    """The same, into a buffer; return how many bytes there are in it, 0 when the peer has ended its side."""

    send_nowait: Callable[[bytes], int]
    """Hand over as much of one buffer as fits, and return how many bytes. Raises OSError."""

    def write_nowait(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Hand over as much of ``buffers`` as fits, and return how many bytes. Raises OSError."""

    wait_readable: Callable[[], Awaitable[None]]
    """Wait until an attempt to read would not block. Raises ``trio.ClosedResourceError`` on close() and stir()."""
    wait_writable: Callable[[], Awaitable[None]]
    """Wait until an attempt to write would not block. Raises ``trio.ClosedResourceError`` on close() and stir()."""

    block: Callable[[], bool]
    """Block the thread until there is something to read, if no other task of the run could run meanwhile.

    Return False, perhaps at once, when the wait has to go through Trio: another task can run, or a deadline has passed.
    """

    def look(self, seconds: float) -> bool:
        """Wait at most ``seconds``, letting no other task run, for something to read; return whether there is."""

    def has_ended(self) -> bool:
        """Return whether the peer has ended its side, also while bytes wait to be read; False if it cannot be told."""

    def stir(self) -> None:
        """Have whoever waits raise ``trio.ClosedResourceError``, to look whether something else has changed."""

    def end_writing(self) -> None:
        """Half-close: tell the peer that nothing more comes. The kernel still delivers what was written."""

    acknowledges_for_process: bool
    """Acknowledged bytes are in the peer's process. Otherwise they may still be in its kernel buffer."""

    def unacknowledged(self) -> int | None:
        """Return how many written bytes the peer's side has not acknowledged, or None if the system does not say.

        Still answers after the connection broke. Bytes that include overhead of the kernel are an upper bound.
        """

    def unanswered(self) -> float:
        """Return for how many seconds the peer's kernel has acknowledged nothing, if bytes were sent again; else 0.

        A live kernel acknowledges even while its process reads nothing. This distinguishes a dead machine from a busy
        process. It is 0 on systems that do not tell.
        """

    def is_broken(self) -> bool:
        """Return whether the connection broke since the last call. Needed after the peer has ended its side."""

    def close(self) -> None:
        """Close; idempotent."""


class Listener(Protocol):
    """A bound address that connections come to."""

    endpoint: str
    """The endpoint with wildcards resolved: what peers connect to."""

    async def accept(self) -> Stream:
        """Wait for a connection. Raises OSError and `TurnedAway`, after which accepting may go on."""

    def close(self) -> None:
        """Stop listening and remove what binding made in the file system; idempotent."""


class Transport(Protocol):
    """One scheme. ``endpoint`` is the scheme's class of `mq.endpoint`."""

    def listen(self, endpoint: Any, options: Options) -> Listener:
        """Listen at once. Raises `mq.BindError` or `mq.InvalidEndpoint`."""

    def check(self, endpoint: Any, options: Options) -> None:
        """Raise `mq.InvalidEndpoint` when ``endpoint`` can never be connected to."""

    async def connect(self, endpoint: Any, options: Options, rounds: Rounds) -> Stream:
        """Connect; ``rounds`` is the endpoint's own, and says where to begin. Raises OSError."""
