"""What is a socket? It binds, connects, flushes and closes; it owns its nursery, its pipes and their links.

It knows neither routing, which the patterns built on it are, nor framing, which its links do.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import repeat
from operator import length_hint
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

import trio
from attrs import evolve

from . import absent, home, reasons
from . import endpoint as endpoints
from .endpoint import Endpoint, canonical
from .links import dialer, inproc, listener, writing
from .links.owner import Owner
from .losses import Losses
from .message import shortened
from .monitor import Closed, Event, Listening, Statistics
from .monitors import Monitors
from .options import OptionArguments, Options, from_arguments
from .pipe import Lane, Pipe
from .places import Place, find, leaving_before, whereabouts
from .reasons import Reason
from .transports import TRANSPORTS

log = logging.getLogger("mq")

_MOST_GONE = 1000
"""Peers that may be gone and have left something to receive; while there are more, nobody else is taken."""

PATIENCE = 2.0
"""Seconds that a task waits for somebody to talk to before the log says that nobody is there."""

NO_RUN: tuple[Iterator[Any], repeat[tuple[()]]] = iter(()), repeat((), 0)
"""Nothing may be received without a look around: a run, and as many as are left of it."""


class Socket(home.Resident, absent.Explaining):
    """What all socket types share. Use one as ``async with mq.Push() as push``.

    Entering is not a checkpoint; leaving is. Leaving in order flushes what was sent for as long as peers keep
    taking it, and gives up after ``linger`` seconds without progress; the log and a `Dropped` event then say how
    many messages were lost, and for whom. Leaving by an exception or a cancellation drops them at once.
    """

    # What the hot paths of patterns look at: in slots it is found faster, and only one base of a class may have them.
    __slots__ = ("_lane", "_rest_of_run", "_run", "_send_run", "_thread", "_waiting")

    socket_type: ClassVar[str]
    fans_out: ClassVar[bool] = False
    """Its messages go to many peers, encoded once for all."""
    chooses: ClassVar[bool] = False
    """It may refuse a peer for who it says it is, or because another is there."""
    _connects_once = False
    """A second connect() to an endpoint makes no second connection: it would double messages, or requests to a peer."""
    _header_of = staticmethod(writing.header_of)
    _more_header_of = staticmethod(writing.more_header_of)
    _wire_of = staticmethod(writing.wire)
    _wires_of = staticmethod(writing.wires)

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__()
        self.options: Options = from_arguments(type(self).__name__, self.socket_type, options)
        self._nursery_manager: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery
        self._owner: Owner
        self._to_bind = self.options
        self._closing = False
        self._finished = trio.Event()
        self._pipes: dict[Pipe, None] = {}
        self._departing: dict[Pipe, None] = {}
        """Pipes whose connections are being ended in order."""
        self._places: list[Place] = []
        self._dialed: dict[Endpoint, list[Place]] = {}
        """Those of the places that connect, by their address."""
        self._peer_count = 0
        self._only_peer: Pipe | None = None
        self._peers_changed = trio.lowlevel.ParkingLot()
        self._places_changed = trio.lowlevel.ParkingLot()
        self._monitors = Monitors(self._name)
        self._hinted = False
        self._sent = 0
        self._send_run = 0
        """Messages counted as sent before they are: so many may follow with no other look around."""
        self._received = 0
        self._run: Iterator[Any]
        """What may be received next with no other look around: counted as received before it is.

        A ``for`` that returns takes the next, if there is one: there is no cheaper way.
        """
        self._rest_of_run: repeat[tuple[()]]
        """As many as are left of it."""
        self._run, self._rest_of_run = NO_RUN
        self._past_bytes_out = 0
        self._past_bytes_in = 0
        self._losses = Losses(self._monitors)
        self._reconnects = 0

    @property
    def _exact(self) -> bool:
        """Peers get from it what they have asked for and nothing else."""
        return False

    # -- life ----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._move_in()
        self._owner = Owner(
            self.socket_type,
            self.fans_out,
            self.chooses,
            self._exact,
            self.options,
            self._make_pipe,
            self._arrived,
            self._writable,
            self._refuse,
            self._connected,
            self._lost,
            self._unacknowledged,
            self._abandon,
            self._crowded,
            self._monitors.report,
            self._monitors.warn,
        )
        self._nursery_manager = trio.open_nursery()
        self._nursery = await self._nursery_manager.__aenter__()
        return self

    if not TYPE_CHECKING:  # type checkers know it anyway

        def __enter__(self):
            raise TypeError(f"a socket opens with 'async with mq.{self._name}() as socket:', this was 'with'")

        def __exit__(self, *_):
            raise AssertionError("never entered")

    def _evict(self) -> None:
        super()._evict()
        self._sent -= self._send_run
        self._send_run = 0  # hot paths look no further

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        manager = self._nursery_manager
        assert manager is not None
        try:
            await self._close(flush=error is None)
        finally:
            try:
                await manager.__aexit__(None, None, None)
            except BaseExceptionGroup as group:
                fault = _only_one(group)
                if fault is group:
                    raise
                fault.add_note(f"raised in the background of {self!r}: this is a fault of mq, please report it")
                raise fault from fault.__cause__

    async def aclose(self) -> None:
        """Close as leaving the block does: flush, then end all background work. Idempotent.

        Tasks that wait in this socket get ``trio.ClosedResourceError``. When cancelled, drops what is unsent and
        closes all the same.
        """
        await self._close(flush=True)

    async def _close(self, *, flush: bool) -> None:
        if self._closing or not self._lives_here:
            self._closing = True
            await trio.lowlevel.checkpoint()
            if self._lives_here:
                await self._finished.wait()
            return
        self._check_home()
        self._closing = True
        for place in self._places:
            if place.listener is not None:
                place.listener.close()
        self._stop()
        self._peers_changed.unpark_all()
        parting = "its block was left by an exception or cancelled"
        try:
            await trio.lowlevel.checkpoint()
            if flush:
                parting = "closing was cancelled"
                await self._end_in_order([*self._pipes, *self._departing], "the socket closed")
                parting = f"nothing was taken for {self.options.linger:g} s"
                self._losses.advice = "linger= sets how long to wait"
        finally:
            self._losses.parting = parting
            with trio.CancelScope(shield=True):
                for place in self._places:
                    place.scope.cancel()
                while self._places:
                    await self._places_changed.park()
            self._monitors.close()
            self._losses.say(logging.WARNING if flush else logging.INFO)
            self._finished.set()

    async def _flush(self, pipes: Collection[Pipe]) -> None:
        """Wait until ``pipes`` are settled, or nothing moves for ``linger`` seconds."""
        moved = trio.lowlevel.ParkingLot()
        for pipe in pipes:
            pipe.progress = _both(pipe.progress, moved.unpark_all)
        while not all(pipe.settled for pipe in pipes):
            with trio.move_on_after(self.options.linger) as scope:
                await moved.park()
            if scope.cancelled_caught:
                break

    async def _end_in_order(self, pipes: Collection[Pipe], reason: str) -> None:
        """End the connections of ``pipes`` in order; give up when nothing moves for ``linger`` seconds."""
        if self.options.linger > 0:
            self._departing |= dict.fromkeys(pipes)
            for pipe in pipes:
                pipe.part(reason)
        try:
            await self._flush(pipes)
        finally:
            for pipe in pipes:
                self._departing.pop(pipe, None)

    # -- endpoints -----------------------------------------------------------------------------------------

    def bind(self, endpoint: str) -> str:
        """Listen at ``endpoint`` and return it with wildcards resolved: what peers connect to.

        Raises `InvalidEndpoint`, `UnsupportedScheme` and `BindError` at once.
        """
        self._check_open()
        parsed = endpoints.parse(endpoint)
        if isinstance(parsed, endpoints.Inproc):
            binder = inproc.Binder(self._owner, str(parsed))
            place = Place(str(parsed), parsed, listener=binder)
            self._start(place, binder.serve)
        else:
            bound = TRANSPORTS[parsed.scheme].listen(parsed, self._to_bind)
            if self._to_bind.use_fd is not None:  # it is taken
                self._to_bind = evolve(self._to_bind, use_fd=None)
            place = Place(bound.endpoint, canonical(endpoints.parse(bound.endpoint)), listener=bound)
            self._start(place, partial(listener.listen, self._owner, bound))
        self._monitors.report(Listening(endpoint=place.endpoint))
        return place.endpoint

    def connect(self, endpoint: str) -> None:
        """Connect to ``endpoint`` in the background, now and again whenever the connection is lost.

        Returns at once; the peer need not be there yet. A second call for an endpoint makes a second connection with
        some types of sockets; with others it changes nothing, and the log says so: docs/sockets.md lists them. Raises
        `InvalidEndpoint` and `UnsupportedScheme`.
        """
        self._check_open()
        parsed = endpoints.parse(endpoint)
        address = canonical(parsed)
        if self._connects_once and (known := self._connected_to(address)) is not None:
            self._say_once(known, endpoint)
            return
        pipe = self._make_pipe(endpoint, True)
        pipe.origin = address
        place = Place(endpoint, address, pipe=pipe)
        if isinstance(parsed, endpoints.Inproc):
            self._start(place, inproc.Connecter(self._owner, endpoint, pipe).dial)
        else:
            TRANSPORTS[parsed.scheme].check(parsed, self.options)
            self._start(place, partial(dialer.dial, self._owner, parsed, pipe))
        self._dialed.setdefault(address, []).append(place)
        self._pipes[pipe] = None
        self._pipe_added(pipe)

    def _connected_to(self, address: Endpoint) -> Place | None:
        """Return what connect() made for ``address``, unless disconnect() has undone it."""
        return next((place for place in self._dialed.get(address, ()) if place.farewell is None), None)

    def _say_once(self, place: Place, endpoint: str) -> None:
        if not place.told:
            place.told = True
            log.warning(
                "%s.connect(%r) changed nothing: the socket is connected to %s already, and connects there only once",
                self._name,
                endpoint,
                place.endpoint,
            )

    def unbind(self, endpoint: str) -> None:
        """Stop listening at ``endpoint``, as bind() returned it, and let the connections accepted there go.

        What was sent to them is flushed in the background, for at most ``linger`` seconds without progress.
        """
        place = self._find(endpoint, "bound")
        assert place.listener is not None
        if isinstance(place.listener, inproc.Binder):
            place.listener.stop_listening()
        else:
            place.listener.close()
        accepted = [pipe for pipe in self._pipes if pipe.endpoint == place.endpoint and not pipe.connecting]
        self._retire(place, accepted)

    def disconnect(self, endpoint: str) -> None:
        """Undo one connect() that made a connection to ``endpoint``: the latest, if there are several.

        Flushes as unbind() does. What was received stays readable, in order.
        """
        place = self._find(endpoint, "connected")
        assert place.pipe is not None
        self._retire(place, [place.pipe])

    def _find(self, endpoint: str, how: str) -> Place:
        self._check_open()
        return find(self._name, endpoint, how, self._places)

    def _retire(self, place: Place, pipes: list[Pipe]) -> None:
        place.farewell = farewell = trio.CancelScope()

        @trio.lowlevel.enable_ki_protection
        async def flush_and_end() -> None:
            with farewell:
                await self._end_in_order(pipes, "the socket closed")
            place.scope.cancel()

        for pipe in pipes:
            pipe.retired = True
            self._pipe_removed(pipe)
        self._nursery.start_soon(flush_and_end)

    def _start(self, place: Place, work: Callable[[], Awaitable[None]]) -> None:
        self._places.append(place)
        self._nursery.start_soon(self._hold, place, work)

    @trio.lowlevel.enable_ki_protection  # Ctrl-C comes up in the program, not in what works for it in the background
    async def _hold(self, place: Place, work: Callable[[], Awaitable[None]]) -> None:
        try:
            with place.scope:
                await self._until_first(place)
                await work()
        finally:
            self._remove(place)
            if place.farewell is not None:
                place.farewell.cancel()
            if place.listener is not None:
                place.listener.close()
            if place.pipe is not None:
                self._pipe_removed(place.pipe)
                self._forget(place.pipe, reasons.ENDPOINT_CLOSED)
            self._monitors.report(Closed(endpoint=place.endpoint))
            self._places_changed.unpark_all()

    async def _until_first(self, place: Place) -> None:
        """Wait while earlier connections to the same endpoint, which disconnect() has ended, flush what they hold.

        A later connection would overtake them.
        """
        while leaving_before(place, self._dialed.get(place.address, ())):
            await self._places_changed.park()

    def _remove(self, place: Place) -> None:
        self._places.remove(place)
        if place.pipe is not None:
            dialed = self._dialed[place.address]
            dialed.remove(place)
            if not dialed:
                del self._dialed[place.address]

    # -- peers ---------------------------------------------------------------------------------------------

    async def wait_connected(self, n: int = 1) -> None:
        """Wait until at least ``n`` peers are connected, their handshakes complete.

        Raises ``trio.ClosedResourceError`` when the socket is closed meanwhile.
        """
        self._check_open()
        check_number(n)
        await trio.lowlevel.checkpoint()
        while self._peer_count < n:
            self._check_open()
            await self._park(self._peers_changed, "wait_connected")

    def _make_pipe(self, endpoint: str, connecting: bool, lanes: tuple[Lane, Lane] | None = None) -> Pipe:
        """Return a new pipe, with the given outbox and inbox if they belong to a socket of this process."""
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
        if pipe.progress is not None:  # within the process, what waited for the peer is its own from here on
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
        """Remove ``pipe``, and count what was not sent. What was received stays readable."""
        if self._pipes.pop(pipe, self) is self:
            return
        self._past_bytes_out += pipe.bytes_out
        self._past_bytes_in += pipe.bytes_in
        if not pipe.in_process:
            self._drop(pipe, len(pipe.outbox), reason, detail)
            pipe.outbox.clear()

    def _crowded(self) -> str:
        """Return why no more peers can be taken for now, or "" when they can."""
        count = len(self._gone())
        if count <= _MOST_GONE:
            return ""
        return f"{count} peers are gone, and nobody has received what they sent: nobody else is taken until it is"

    def _drop(self, pipe: Pipe, count: int, reason: Reason, detail: str = "") -> None:
        if count and self._closing:
            self._losses.leave(pipe, count, reason, detail)
        elif count:
            self._losses.count(pipe.endpoint, count, reason, detail)

    def _unacknowledged(self, pipe: Pipe, size: int, reason: str) -> None:
        self._losses.count_unacknowledged(pipe, size, reason, closing=self._closing)

    def _drop_mistaken(self, pipe: Pipe, count: int, reason: Reason, advice: str) -> None:
        """Drop messages that the program at the other end has not meant so; say once in the log how to send them."""
        if count and reason not in self._losses.dropped:
            text = "%s dropped a message from %s: %s; %s"
            log.warning(text, self._name, pipe.peer or pipe.endpoint, reason, advice)
        self._drop(pipe, count, reason)

    def _drop_unreceivable(self, pipe: Pipe, count: int) -> None:
        self._drop(pipe, count, reasons.does_not_receive(self.socket_type))

    def _drop_unsent(self, count: int, reason: Reason) -> None:
        """Count messages that were for nobody there is."""
        self._losses.count("", count, reason)

    # -- what patterns override ----------------------------------------------------------------------------

    def _make_ready(self, pipe: Pipe) -> None:
        """Give ``pipe`` a place of its own for what can be received, if its inbox is not."""

    def _pipe_added(self, pipe: Pipe) -> None:
        """``pipe`` is there, its endpoint not connected yet."""

    def _pipe_connected(self, pipe: Pipe) -> None:
        """Its peer is there."""

    def _pipe_lost(self, pipe: Pipe) -> None:
        """Its peer is gone; if the pipe connects, another may come."""

    def _pipe_removed(self, pipe: Pipe) -> None:
        """Nothing may be sent to it any more."""

    def _refuse(self, pipe: Pipe) -> str | None:
        """Return why this peer cannot be taken, or None."""
        return None

    def _arrived(self, pipe: Pipe) -> None:
        """Something is in its inbox. A socket that does not receive has no use for it."""
        count = len(pipe.inbox)
        pipe.inbox.clear()
        self._drop_unreceivable(pipe, count)
        pipe.inbox.reopen()

    def _writable(self, pipe: Pipe) -> None:
        """Its outbox was full and has room."""

    def _gone(self) -> set[Pipe]:
        """Return the pipes of peers that are gone and have left something to receive."""
        return set()

    def _abandon(self, pipe: Pipe) -> None:
        """What is in its inbox is not to be received here."""

    def _stop(self) -> None:
        """The socket closes: end every wait, take nothing more."""

    # -- watching ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def monitor(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """Open a stream of the events from now on, which ends when the socket is closed.

        ``async with socket.monitor() as events: async for event in events: ...``
        """
        self._check_open()
        async with self._monitors.open() as events:
            yield events

    def statistics(self) -> Statistics:
        """Return counters and queue lengths of this moment."""
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
        """Wait in ``lot``; say so once when there is nobody to wait for. It may end for nothing: look, and park again.

        What is waited for may come after the patience has ended, and before this task runs again.
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
            # To listen and wait for whoever may come is what servers do.
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


def _only_one(error: BaseException) -> BaseException:
    """Return the exception that a group of groups consists of; the group itself when there are several."""
    inner = error
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return error if isinstance(inner, BaseExceptionGroup) else inner


def check_number(n: object) -> None:
    """Raise TypeError unless ``n`` is a number of peers."""
    if not isinstance(n, int):
        raise TypeError(f"n is a number of peers to wait for, got {shortened(n)}")


def _both(first: Callable[[], object] | None, second: Callable[[], object]) -> Callable[[], object]:
    """A pipe may be flushed twice at once: its endpoint is disconnected, and the socket closes."""
    if first is None:
        return second

    def call() -> None:
        first()
        second()

    return call
