"""How do two sockets of one process wake each other? A plain call in one thread, ``run_sync_soon`` between threads.

The sockets may live in different threads, each with its own Trio run. They share their lanes: the outbox of one is the
inbox of the other. Each socket wires its ends of the lanes to functions that run in its own thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import get_ident

import trio

from ..pipe import Lane, Pipe
from .owner import Owner


class End:
    """One socket at an ``inproc`` endpoint, and its ends of the lanes."""

    def __init__(self, owner: Owner, endpoint: str) -> None:
        self.owner = owner
        self.endpoint = endpoint
        self._token = trio.lowlevel.current_trio_token()
        self._thread = get_ident()

    @property
    def name(self) -> str:
        return self.endpoint.removeprefix("inproc://")

    @property
    def speaks_first(self) -> bool:
        """The binder must wait until `Owner.connected` has sent a probe or hello message, or has withheld messages."""
        options = self.owner.options
        return options.probe_router or options.hello_message is not None or self.owner.fans_out

    def post(self, act: Callable[..., None], *arguments: object) -> bool:
        """Call ``act`` in this end's thread: now, if it is the current one. Return False if its Trio run is over."""
        if get_ident() == self._thread:
            act(*arguments)
            return True
        try:
            self._token.run_sync_soon(act, *arguments)
        except trio.RunFinishedError:
            return False
        return True

    def wire_inbox(self, pipe: Pipe) -> None:
        """From now on, have the peer wake this end when it sends."""
        pipe.inbox.wake = partial(self._wake, pipe.inbox, pipe)

    def wire_outbox(self, pipe: Pipe) -> None:
        """Have the peer wake this end when the outbox has room again. Call this before the peer can receive."""
        pipe.outbox.resume = partial(self.post, self.owner.writable, pipe)

    def look(self, pipe: Pipe) -> None:
        """Report messages that are in the inbox already, and room that the outbox has gained."""
        inbox, outbox = pipe.inbox, pipe.outbox
        inbox.asleep = True
        if inbox:
            self.owner.arrived(pipe)
        if outbox.stalled and len(outbox) < outbox.limit:
            outbox.stalled = False
            self.owner.writable(pipe)

    def _wake(self, lane: Lane, pipe: Pipe) -> None:
        lane.asleep = False
        self.post(self._arrived, pipe)

    def _arrived(self, pipe: Pipe) -> None:
        self.owner.arrived(pipe)
