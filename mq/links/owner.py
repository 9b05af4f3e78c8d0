"""What does a link need from its socket? Data and callables, which the socket passes to its links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import frozen

from ..monitor import Event
from ..options import Options
from ..pipe import Lane, Pipe


class MakePipe(Protocol):
    """Return a new pipe for an endpoint. ``lanes`` are its outbox and inbox, if they belong to another socket."""

    def __call__(self, endpoint: str, connecting: bool, lanes: tuple[Lane, Lane] | None = None) -> Pipe: ...


@frozen
class Owner:
    """The part of a socket that its links use."""

    socket_type: str
    fans_out: bool
    """The socket sends a message to many peers, and encodes it once for all peers that accept that encoding."""
    chooses: bool
    """The socket may refuse a peer because of its routing id, or because another peer is connected."""
    exact: bool
    """The socket sends to a peer only messages that match the peer's subscriptions."""
    options: Options
    make_pipe: MakePipe
    arrived: Callable[[Pipe], None]
    """Called when messages arrive in the inbox of a pipe while its receiver is asleep."""
    writable: Callable[[Pipe], None]
    """Called when the outbox of a pipe was full and has room again."""
    refuse: Callable[[Pipe], str | None]
    """Return why the socket refuses this peer, or None if the socket takes it."""
    connected: Callable[[Pipe], None]
    """Called when a pipe has a connection that can carry messages."""
    lost: Callable[[Pipe, str], None]
    """Called with the reason when a pipe has lost its connection. A connecting pipe remains for the next connection."""
    unacknowledged: Callable[[Pipe, int, str], None]
    """Called after an orderly end, with the number of bytes that the peer's side did not acknowledge, and the reason.

    The number may be 0 or less.
    """
    abandon: Callable[[Pipe], None]
    """Called when this socket must not receive the messages in the inbox of a pipe."""
    crowded: Callable[[], str]
    """Return why the socket takes no more peers for now, or "" if it takes more."""
    report: Callable[[Event], None]
    """Send an event to the monitors."""
    warn: Callable[[str], None]
    """Log a warning that may need an action of the user."""
