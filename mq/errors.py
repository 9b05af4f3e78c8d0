"""Who must act when something goes wrong? The caller, the peer or the network.

Where Trio has an error for it (``ClosedResourceError``, ``BusyResourceError``, ``WouldBlock``), that one is
raised; everything here derives from `Error`.
"""

from __future__ import annotations

__all__ = [
    "BindError",
    "Error",
    "InvalidEndpoint",
    "MissingExtra",
    "MultipartMessage",
    "NotOpen",
    "OutOfTurn",
    "PeerError",
    "PeerLost",
    "ProtocolError",
    "Unroutable",
    "UnsupportedScheme",
    "WrongThread",
]


class Error(Exception):
    """The base of every error that is special to `mq`."""


# -- the caller must act -------------------------------------------------------------------------------


class InvalidEndpoint(Error, ValueError):
    """The endpoint cannot be read, or not be used in this way. The message repeats it."""


class UnsupportedScheme(InvalidEndpoint):
    """The endpoint names a transport that does not exist here."""


class BindError(Error, OSError):
    """The address cannot be listened on: in use, not ours, or not permitted. Carries the OS ``errno``."""


class MissingExtra(Error, ImportError):
    """What was asked for needs a library that is not installed. The message has the command that installs it."""


class NotOpen(Error, RuntimeError):
    """The socket was used outside its ``async with`` block."""


class WrongThread(Error, RuntimeError):
    """The socket was used outside the thread, or the process, whose Trio run opened it."""


class OutOfTurn(Error, RuntimeError):
    """A REQ or REP socket was used out of its order: a request is answered before the next one."""


class Unroutable(Error):
    """Nobody there has the routing id that the message is addressed to."""


class PeerLost(Error):
    """The peer that a reply was awaited from is gone. Whether it has seen the request is not known."""


class MultipartMessage(Error):
    """``receive()`` met a message of several frames. They are all in ``frames``: nothing is lost."""

    def __init__(self, frames: list[bytes]) -> None:
        super().__init__(
            f"received a message of {len(frames)} frames with receive(), which returns one: "
            "take them from .frames, or call receive_multipart()"
        )
        self.frames = frames


# -- the peer must act ---------------------------------------------------------------------------------


class PeerError(Error):
    """The other side did something that ended its connection. Sockets report it as an event."""


class ProtocolError(PeerError):
    """The bytes received are not the protocol that was agreed on. The message says what they were."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.completed: list[bytes | list[bytes]] = []
        """The messages that were whole before the fault; they still count."""
