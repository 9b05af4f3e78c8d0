"""Who must act when something goes wrong? The caller, the peer or the network.

If Trio has an exception for a case (``ClosedResourceError``, ``BusyResourceError``, ``WouldBlock``), `mq` raises
that exception. All exceptions of this file derive from `Error`.
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
    """The base class of all exceptions that `mq` defines."""


# -- the caller must act -------------------------------------------------------------------------------


class InvalidEndpoint(Error, ValueError):
    """The text is not a valid endpoint, or this call cannot use the endpoint. The message quotes the endpoint."""


class UnsupportedScheme(InvalidEndpoint):
    """The scheme of the endpoint is not a transport of `mq`. The message lists the transports."""


class BindError(Error, OSError):
    """``bind`` cannot listen: the address is in use, is not an address of this machine, or is not permitted.

    ``errno`` is the error number of the operating system.
    """


class MissingExtra(Error, ImportError):
    """The call needs a library that is not installed. The message contains the command that installs the library."""


class NotOpen(Error, RuntimeError):
    """The socket was used outside its ``async with`` block, opened a second time, or opened outside a Trio task."""


class WrongThread(Error, RuntimeError):
    """The socket was used in another thread or process than the Trio run that opened the socket."""


class OutOfTurn(Error, RuntimeError):
    """A `Req` or `Rep` was used out of order: each request must be answered before the next request."""


class Unroutable(Error):
    """No peer has the routing id that the message is addressed to."""


class PeerLost(Error):
    """The peer disconnected before its reply arrived. The peer may have processed the request, or not."""


class MultipartMessage(Error):
    """``receive()`` received a message of several frames. The attribute ``frames`` holds all of them."""

    def __init__(self, frames: list[bytes]) -> None:
        super().__init__(
            f"receive() returns one frame, but the message has {len(frames)} frames: "
            "use .frames of this error, or call receive_multipart()"
        )
        self.frames = frames


# -- the peer must act ---------------------------------------------------------------------------------


class PeerError(Error):
    """The peer made a mistake, and its connection ended. Sockets do not raise this error, but report it as an event."""


class ProtocolError(PeerError):
    """The peer sent bytes that violate the protocol. The message describes these bytes."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.completed: list[bytes | list[bytes]] = []
        """The messages that were complete before the fault. The socket still receives these messages."""
