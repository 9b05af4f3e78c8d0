"""Which peers does a socket have, and what has passed between them? Their pipes, counters, losses and events.

`Socket` builds on this and adds endpoints and closing. A pattern overrides the methods that tell of a peer's coming and
going.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import repeat
from operator import length_hint
from types import MappingProxyType
from typing import Any, ClassVar, Unpack

import trio

from . import absent, home, reasons
from .losses import Losses
from .message import shortened
from .monitor import Event, Statistics
from .monitors import Monitors
from .options import OptionArguments, Options, from_arguments
from .pipe import Lane, Pipe
from .places import Place, whereabouts
from .reasons import Reason

log = logging.getLogger("mq")

_MOST_GONE = 1000
"""Ended connections whose messages nobody has received yet. While there are more, no new peer is accepted."""

PATIENCE = 2.0
"""Seconds that a task waits for a peer before the log says that no peer is connected."""

NO_RUN: tuple[Iterator[Any], repeat[tuple[()]]] = iter(()), repeat((), 0)
"""An empty run of messages, and the number of messages left in the run."""


class Peers(home.Resident, absent.Explaining):
    """The peers of one socket."""

    # The hot paths of patterns read these attributes. Slots are faster, and only one base of a class may have them.
    __slots__ = ("_lane", "_rest_of_run", "_run", "_send_run", "_thread", "_waiting")

    socket_type: ClassVar[str]

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__()
        self.options: Options = from_arguments(type(self).__name__, self.socket_type, options)
        self._closing = False
        self._finished = trio.Event()
        """Set once the socket is closed."""
        self._pipes: dict[Pipe, None] = {}
        self._places: list[Place] = []
        self._peer_count = 0
        self._only_peer: Pipe | None = None
        self._peers_changed = trio.lowlevel.ParkingLot()
        self._monitors = Monitors(self._name)
        self._losses = Losses(self._monitors)
        self._hinted = False
        """The log says already that no peer is connected."""
        self._sent = 0
        self._send_run = 0
        """Messages that `_sent` counts in advance: as many sends may follow without any further check."""
        self._received = 0
        self._run: Iterator[Any]
        """Messages that may be received without any further check. `_received` counts them in advance.

        A ``for`` loop that returns takes the next message, if there is one. There is no cheaper way.
        """
        self._rest_of_run: repeat[tuple[()]]
        """The number of messages left in the run, as its length hint."""
        self._run, self._rest_of_run = NO_RUN
        self._past_bytes_out = 0
        self._past_bytes_in = 0
        self._reconnects = 0

    def _evict(self) -> None:
        super()._evict()
        self._sent -= self._send_run
        self._send_run = 0  # a run would let further sends pass unchecked

    # -- peers ---------------------------------------------------------------------------------------------

    async def wait_connected(self, n: int = 1) -> None:
        """Wait until the handshakes with at least ``n`` peers are complete.

        Raises ``trio.ClosedResourceError`` if the socket is closed meanwhile.
        """
        self._check_open()
        check_number(n)
        await trio.lowlevel.checkpoint()
        while self._peer_count < n:
            self._check_open()
            await self._park(self._peers_changed, "wait_connected")

    def _make_pipe(self, endpoint: str, connecting: bool, lanes: tuple[Lane, Lane] | None = None) -> Pipe:
        """Return a new pipe. ``lanes`` are its outbox and inbox, if the peer is a socket of this process."""
        outbox, inbox = lanes or (Lane(self.options.send_hwm), Lane(self.options.receive_hwm))
        pipe = Pipe(endpoint, outbox, inbox, connecting, ready=inbox, in_process=lanes is not None)
        if lanes is None:
            inbox.wake = partial(self._arrived, pipe)
            outbox.resume = partial(self._writable, pipe)
            outbox.asleep = False
        self._make_ready(pipe)
        return pipe

    def _connected(self, pipe: Pipe) -> None:
        if pipe.connections:
            self._reconnects += 1
        pipe.connections += 1
        pipe.connected = True
        self._pipes[pipe] = None
        self._peer_count += 1
        self._monitors.trouble.pop(pipe.endpoint, None)
        self._find_only_peer()
        self._pipe_connected(pipe)
        self._peers_changed.unpark_all()
        if pipe.progress is not None:  # within the process, the peer now has all messages of the outbox
            pipe.progress()

    def _lost(self, pipe: Pipe, reason: str) -> None:
        pipe.connected = False
        self._peer_count -= 1
        self._find_only_peer()
        self._pipe_lost(pipe)
        if pipe.connecting:
            self._monitors.trouble[pipe.endpoint] = f"the last connection ended: {reason}"
        else:
            self._forget(pipe, reasons.CONNECTION_ENDED, reason)
        if pipe.progress is not None:
            pipe.progress()

    def _find_only_peer(self) -> None:
        connected = (pipe for pipe in self._pipes if pipe.connected)
        before, self._only_peer = self._only_peer, next(connected) if self._peer_count == 1 else None
        if before is not None and before is not self._only_peer:
            before.wanted = False
            before.watch()

    def _forget(self, pipe: Pipe, reason: Reason, detail: str = "") -> None:
        """Remove ``pipe``, and count its unsent messages as dropped. Its received messages stay readable."""
        if self._pipes.pop(pipe, self) is self:
            return
        self._past_bytes_out += pipe.bytes_out
        self._past_bytes_in += pipe.bytes_in
        if not pipe.in_process:
            self._drop(pipe, len(pipe.outbox), reason, detail)
            pipe.outbox.clear()

    def _crowded(self) -> str:
        """Return why no further peer can be accepted for now, or "" if one can."""
        count = len(self._gone())
        if count <= _MOST_GONE:
            return ""
        return f"messages of {count} ended connections wait to be received; no further peer is accepted until they are"

    def _drop(self, pipe: Pipe, count: int, reason: Reason, detail: str = "") -> None:
        if count and self._closing:
            self._losses.leave(pipe, count, reason, detail)
        elif count:
            self._losses.count(pipe.endpoint, count, reason, detail)

    def _unacknowledged(self, pipe: Pipe, size: int, reason: str) -> None:
        self._losses.count_unacknowledged(pipe, size, reason, closing=self._closing)

    def _drop_mistaken(self, pipe: Pipe, count: int, reason: Reason, advice: str) -> None:
        """Drop messages that the program of the peer built wrongly. The log says once how to send them."""
        if count and reason not in self._losses.dropped:
            text = "%s dropped a message from %s: %s; %s"
            log.warning(text, self._name, pipe.peer or pipe.endpoint, reason, advice)
        self._drop(pipe, count, reason)

    def _drop_unreceivable(self, pipe: Pipe, count: int) -> None:
        self._drop(pipe, count, reasons.does_not_receive(self.socket_type))

    def _drop_unsent(self, count: int, reason: Reason) -> None:
        """Count messages that no connected peer was to get."""
        self._losses.count("", count, reason)

    # -- what patterns override ----------------------------------------------------------------------------

    def _make_ready(self, pipe: Pipe) -> None:
        """Give ``pipe`` a queue of its own for messages that can be received, if the inbox cannot be that queue."""

    def _pipe_added(self, pipe: Pipe) -> None:
        """``pipe`` was made for an endpoint that is not connected yet."""

    def _pipe_connected(self, pipe: Pipe) -> None:
        """The peer of ``pipe`` is connected."""

    def _pipe_lost(self, pipe: Pipe) -> None:
        """The peer of ``pipe`` is gone. A connecting pipe may get another peer."""

    def _pipe_removed(self, pipe: Pipe) -> None:
        """Nothing may be sent to ``pipe`` any more."""

    def _refuse(self, pipe: Pipe) -> str | None:
        """Return why the peer of ``pipe`` is refused, or None if it is welcome."""
        return None

    def _arrived(self, pipe: Pipe) -> None:
        """The inbox of ``pipe`` has messages. A socket type that cannot receive drops them."""
        count = len(pipe.inbox)
        pipe.inbox.clear()
        self._drop_unreceivable(pipe, count)
        pipe.inbox.reopen()

    def _writable(self, pipe: Pipe) -> None:
        """The outbox of ``pipe`` was full and has room again."""

    def _gone(self) -> set[Pipe]:
        """Return the pipes of ended connections that still hold messages to receive."""
        return set()

    def _abandon(self, pipe: Pipe) -> None:
        """The messages in the inbox of ``pipe`` are not for this socket."""

    def _stop(self) -> None:
        """The socket closes: end every wait, and accept no further message."""

    # -- watching ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def monitor(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """Open a stream of the events from now on. The stream ends when the socket is closed.

        ``async with socket.monitor() as events: async for event in events: ...``
        """
        self._check_open()
        async with self._monitors.open() as events:
            yield events

    def statistics(self) -> Statistics:
        """Return the present counters and queue lengths."""
        peers = tuple(pipe.statistics() for pipe in self._pipes)
        return Statistics(
            peers=peers,
            messages_out=self._sent - self._send_run,
            messages_in=self._received - length_hint(self._rest_of_run),
            bytes_out=self._past_bytes_out + sum(peer.bytes_out for peer in peers),
            bytes_in=self._past_bytes_in + sum(peer.bytes_in for peer in peers),
            queued_out=sum(peer.queued_out for peer in peers),
            queued_in=sum(peer.queued_in for peer in peers) + sum(pipe.unreceived for pipe in self._gone()),
            dropped=MappingProxyType(dict(self._losses.dropped)),
            reconnects=self._reconnects,
        )

    # -- waiting -------------------------------------------------------------------------------------------

    async def _park(self, lot: trio.lowlevel.ParkingLot, doing: str) -> None:
        """Wait in ``lot``. The log says once if no peer is connected meanwhile.

        The wait may end without a reason, so the caller checks its condition and parks again. The condition may become
        true after the patience has ended and before this task runs again.
        """
        self._check_open()
        if self._hinted or self._peer_count:
            await lot.park()
            return
        with trio.move_on_after(PATIENCE):
            await lot.park()
            return
        if not self._peer_count and not self._hinted:
            self._hinted = True
            # A server listens and waits for clients: that is no reason to warn.
            listens = all(place.listener is not None for place in self._places)
            trouble = self._monitors.trouble
            serves = not doing.startswith(("send", "request")) and self._places and listens and not trouble
            level = logging.INFO if serves else logging.WARNING
            log.log(level, "%s.%s() waits: %s", self._name, doing, whereabouts(self._places, trouble))

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        state = "closed" if self._closing else "open" if self._lives_here else "not opened"
        return f"<mq.{self._name} {state}, {', '.join(place.endpoint for place in self._places) or 'no endpoint'}>"

    async def _until_closed(self) -> None:
        """Wait until the socket is closed, and raise ``trio.ClosedResourceError``."""
        await self._finished.wait()
        self._check_open()

    def _check_open(self) -> None:
        self._check_home()
        if self._closing:
            raise trio.ClosedResourceError(f"this {self._name} is closed: its block has ended, or aclose() was called")


def check_number(n: object) -> None:
    """Raise TypeError unless ``n`` is a number of peers."""
    if not isinstance(n, int):
        raise TypeError(f"n is a number of peers to wait for, got {shortened(n)}")
