"""What does a link ask of the socket that it belongs to? Data and callables, handed down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import frozen

from ..monitor import Event
from ..options import Options
from ..pipe import Lane, Pipe


class MakePipe(Protocol):
    """Return a new pipe for an endpoint; ``lanes`` are its outbox and inbox, if they are another socket's."""

    def __call__(self, endpoint: str, connecting: bool, lanes: tuple[Lane, Lane] | None = None) -> Pipe: ...


@frozen
class Owner:
    """A socket, as its links see it."""

    socket_type: str
    fans_out: bool
    """Where it can be, what is in an outbox is encoded already."""
    chooses: bool
    """It may refuse a peer for who it says it is."""
    exact: bool
    """Peers get from it what they have asked for and nothing else."""
    options: Options
    make_pipe: MakePipe
    arrived: Callable[[Pipe], None]
    """The inbox of a pipe that had nothing to receive has something."""
    writable: Callable[[Pipe], None]
    """The outbox of a pipe that was full has room."""
    refuse: Callable[[Pipe], str | None]
    """Return why this peer cannot be taken, or None when it can."""
    connected: Callable[[Pipe], None]
    """Messages can flow."""
    lost: Callable[[Pipe, str], None]
    """They no longer can, for this reason. A connecting pipe stays for the next connection."""
    unacknowledged: Callable[[Pipe, int, str], None]
    """An orderly end left so many written bytes without an acknowledgement of the peer's side, for this reason."""
    abandon: Callable[[Pipe], None]
    """What is in the pipe's inbox is not to be received here."""
    crowded: Callable[[], str]
    """Return why no more peers can be taken for now, or "" when they can."""
    report: Callable[[Event], None]
    """Tell monitors."""
    warn: Callable[[str], None]
    """Say in the log what a user may have to see to."""
