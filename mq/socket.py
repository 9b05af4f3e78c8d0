"""What is a socket? It binds, connects, flushes and closes. It owns its nursery, its pipes and their links.

A socket knows neither routing nor framing: patterns route, and links frame.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self, Unpack

import trio
from attrs import evolve

from . import endpoint as endpoints
from . import reasons
from .endpoint import Endpoint, canonical
from .links import dialer, inproc, listener, writing
from .links.owner import Owner
from .monitor import Closed, Listening
from .options import OptionArguments
from .peers import Peers
from .pipe import Pipe
from .places import Place, find, leaving_before
from .transports import TRANSPORTS

log = logging.getLogger("mq")


class Socket(Peers):
    """The common part of all socket types. Use a socket as ``async with mq.Push() as push``.

    Entering the block is not a checkpoint. Leaving the block is one. Leaving in order flushes the sent messages for as
    long as peers take them, and gives up after ``linger`` seconds without progress. The log and a `Dropped` event then
    say how many messages were lost, and for which peers. Leaving by an exception or a cancellation drops unsent
    messages at once.
    """

    fans_out: ClassVar[bool] = False
    """Messages go to many peers, and are encoded once for all of them."""
    chooses: ClassVar[bool] = False
    """The socket may refuse a peer because of its routing id, or because another peer is connected."""
    _connects_once = False
    """A second connect() to an endpoint makes no second connection, which would double messages or requests."""
    _header_of = staticmethod(writing.header_of)
    _more_header_of = staticmethod(writing.more_header_of)
    _wire_of = staticmethod(writing.wire)
    _wires_of = staticmethod(writing.wires)
    _messages_of = staticmethod(writing.messages_of)

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._nursery_manager: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery
        self._owner: Owner
        self._to_bind = self.options
        self._departing: dict[Pipe, None] = {}
        """Pipes whose connections are being ended in order."""
        self._dialed: dict[Endpoint, list[Place]] = {}
        """The places that connect, by their address."""
        self._places_changed = trio.lowlevel.ParkingLot()

    @property
    def _exact(self) -> bool:
        """Peers get the messages that they asked for, and no others."""
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

    if not TYPE_CHECKING:  # type checkers find this mistake by themselves

        def __enter__(self):
            raise TypeError(f"a socket opens with 'async with mq.{self._name}() as socket:', this was 'with'")

        def __exit__(self, *_):
            raise AssertionError("never entered")

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
        """Close the socket as leaving the block does: flush, then end all background work. Idempotent.

        Tasks that wait in this socket get ``trio.ClosedResourceError``. If cancelled, it drops unsent messages and
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
        """Listen at ``endpoint``. Return the endpoint that peers connect to, with wildcards resolved.

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
        """Connect to ``endpoint`` in the background, and connect again whenever the connection is lost.

        Returns at once. The peer need not listen yet. With some socket types, a second call for an endpoint makes a
        second connection. With others it changes nothing, and the log says so; docs/sockets.md lists the types. Raises
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
        """Return the place that connect() made for ``address``, unless disconnect() has undone it."""
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
        """Stop listening at ``endpoint``, and end the connections that were accepted there.

        ``endpoint`` is the one that bind() returned. Messages sent to those peers are flushed in the background, for at
        most ``linger`` seconds without progress.
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
        """Undo one connect() to ``endpoint``, the latest if there are several.

        Flushes as unbind() does. Received messages stay readable, in order.
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
        """Wait while earlier connections to the same endpoint flush their messages after disconnect().

        A new connection would overtake them.
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

def _only_one(error: BaseException) -> BaseException:
    """Return the only exception in nested groups, or ``error`` itself if there are several."""
    inner = error
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return error if isinstance(inner, BaseExceptionGroup) else inner


def _both(first: Callable[[], object] | None, second: Callable[[], object]) -> Callable[[], object]:
    """Return a call of both: a pipe may be flushed twice at once, by disconnect() and by the end of the socket."""
    if first is None:
        return second

    def call() -> None:
        first()
        second()

    return call
