"""How are two sockets of one process driven? They share their lanes: one's outbox is the other's inbox.

The sockets may live in different threads, each with its own Trio run. A lane's two ends are wired here so that
a wake-up costs a plain call within a thread and one ``run_sync_soon`` between threads. The lanes belong to the
connecting side and outlive the binding one: what that had not received waits there for the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from threading import get_ident

import trio

from ..errors import ProtocolError
from ..monitor import Connected, ConnectRetried, Disconnected, HandshakeFailed, Handshaken
from ..pipe import Lane, Pipe, ignored, nobody
from ..protocols.zmtp.peers import check_peer
from ..transports.inproc import Exchange
from .backoff import Backoff
from .owner import Owner
from .parking import Seat


class End:
    """One socket at an inproc name."""

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
        """Something is to come before what it may have sent already."""
        options = self.owner.options
        return options.probe_router or options.hello_message is not None or self.owner.fans_out

    def post(self, act: Callable[..., None], *arguments: object) -> bool:
        """Call ``act`` in this end's thread; now, if that is ours. Return False when that thread's run is over."""
        if get_ident() == self._thread:
            act(*arguments)
            return True
        try:
            self._token.run_sync_soon(act, *arguments)
        except trio.RunFinishedError:
            return False
        return True

    def wire_inbox(self, pipe: Pipe) -> None:
        """Have whoever sends wake this end, from now on."""
        pipe.inbox.wake = partial(self._wake, pipe.inbox, pipe)

    def wire_outbox(self, pipe: Pipe) -> None:
        """Have whoever takes out what was sent tell this end of the room. Comes before they can."""
        pipe.outbox.resume = partial(self.post, self.owner.writable, pipe)

    def look(self, pipe: Pipe) -> None:
        """See what is in the inbox already, and whether the outbox has got more room."""
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


class Binder(End):
    """The socket that bound a name; its task holds the connections."""

    def __init__(self, owner: Owner, endpoint: str) -> None:
        super().__init__(owner, endpoint)
        self._pipes: dict[Connecter, Pipe] = {}
        self._open = True
        for connecter in EXCHANGE.bind(self.name, self):
            self.post(self.accept, connecter)

    async def serve(self) -> None:
        """Hold the name and its connections until cancelled."""
        try:
            await trio.sleep_forever()
        finally:
            self.close()

    def stop_listening(self) -> None:
        """Take no more connections."""
        EXCHANGE.unbind(self.name, self)
        self._open = False

    def close(self) -> None:
        """Give up the name, and leave the connecters to whoever binds it next."""
        self.stop_listening()
        for connecter in list(self._pipes):
            self._release(connecter, "the endpoint was closed", readable=False)
            connecter.post(connecter.lose, self, "the binding socket closed")

    def accept(self, connecter: Connecter) -> None:
        """Join with ``connecter``, in this end's thread."""
        if connecter.gone:
            return
        own = self.owner.options
        theirs = connecter.owner.options
        pipe = self.owner.make_pipe(self.endpoint, False, (connecter.pipe.inbox, connecter.pipe.outbox))
        pipe.identity = theirs.routing_id
        pipe.origin = pipe.identity or self.endpoint  # one process
        refusal = self._refusal(connecter, pipe)
        if refusal:
            misfit = _misfit(connecter.owner.socket_type, self.owner.socket_type)
            connecter.post(connecter.refused, misfit or refusal)
            return
        self._pipes[connecter] = pipe
        pipe.peer = connecter.endpoint
        pipe.hang_up = partial(self._hang_up, connecter)
        pipe.outbox.set_limit(own.send_hwm and theirs.receive_hwm and own.send_hwm + theirs.receive_hwm)
        pipe.inbox.set_limit(theirs.send_hwm and own.receive_hwm and theirs.send_hwm + own.receive_hwm)
        self.wire_outbox(pipe)
        self._report_handshake(connecter)
        self.owner.connected(pipe)
        if not connecter.post(connecter.matched, self):
            self.dismiss(connecter)
        elif not connecter.speaks_first:
            self.begin(connecter)

    def begin(self, connecter: Connecter) -> None:
        """Take what ``connecter`` sends, or has sent before we were here."""
        pipe = self._pipes.get(connecter)
        if pipe is not None:
            self.wire_inbox(pipe)
            self.look(pipe)

    def dismiss(self, connecter: Connecter) -> None:
        """``connecter`` has gone; what it sent stays to be received."""
        self.begin(connecter)
        self._release(connecter, "the connecting socket closed", readable=True)

    def await_again(self, connecter: Connecter) -> None:
        """``connecter`` has hung up, and will come back; what it sent waits for its next connection."""
        self._release(connecter, "the connecting socket hung up", readable=False)

    def _hang_up(self, connecter: Connecter, reason: str) -> None:
        if connecter in self._pipes:
            self._release(connecter, reason, readable=False)
            connecter.post(connecter.lose, self, "the binding socket hung up", True)

    def _refusal(self, connecter: Connecter, pipe: Pipe) -> str | None:
        if not self._open:
            return "the binding socket closed"
        refusal = _misfit(self.owner.socket_type, connecter.owner.socket_type) or self.owner.refuse(pipe)
        if refusal:
            self.owner.report(HandshakeFailed(endpoint=self.endpoint, peer=connecter.endpoint, reason=refusal))
        return refusal

    def _report_handshake(self, connecter: Connecter) -> None:
        for one, other in ((self, connecter), (connecter, self)):
            event = Handshaken(
                endpoint=one.endpoint,
                peer=other.endpoint,
                socket_type=other.owner.socket_type,
                version=(3, 1),
                mechanism="NULL",
                metadata=dict(other.owner.options.metadata),
            )
            one.post(one.owner.report, event)

    def _release(self, connecter: Connecter, reason: str, *, readable: bool) -> None:
        """Let go of ``connecter``, if it is joined with."""
        pipe = self._pipes.pop(connecter, None)
        if pipe is None:
            return
        pipe.inbox.wake = nobody
        if not readable:
            self.owner.abandon(pipe)
        self.owner.lost(pipe, reason)
        self.owner.report(Disconnected(endpoint=self.endpoint, peer=connecter.endpoint, reason=reason))


class Connecter(End):
    """The socket that connects to a name; its task asks again whenever the connection is lost."""

    def __init__(self, owner: Owner, endpoint: str, pipe: Pipe) -> None:
        super().__init__(owner, endpoint)
        self.pipe = pipe
        self.wire_outbox(pipe)
        pipe.inbox.wake = nobody  # what comes before we know that we are matched is found then
        self._binder: Binder | None = None
        self._seat = Seat()
        self._waiting = True
        """Nobody has answered yet."""
        self._refused = False
        self._rejected = False
        """The binder is there, and has hung up."""
        self.gone = False
        """It wants no peer any more. The one thing here that the other thread reads."""

    async def dial(self) -> None:
        """Be connected, or wait to be, until cancelled."""
        owner = self.owner
        backoff = Backoff(owner, self.pipe)
        try:
            while True:
                self._waiting, self._refused, self._rejected = True, False, False
                binder = EXCHANGE.connect(self.name, self)
                end = "handshake"
                if binder is not None and not binder.post(binder.accept, self):
                    self._waiting, self._refused = False, True  # its run ended since we looked
                    end = "refused"
                while self._waiting:
                    await self._seat.park()
                if self._binder is not None:
                    backoff.begin()
                while self._binder is not None:
                    await self._seat.park()
                if owner.options.gives_up_after(end if self._refused else "disconnect"):
                    return
                if self._rejected:
                    backoff.end("the binding socket hung up", completed=True)
                if self._refused or self._rejected:
                    delay = backoff.pause()
                    owner.report(ConnectRetried(endpoint=self.endpoint, delay=delay))
                    await trio.sleep(delay)
                else:
                    backoff.forget()
        finally:
            self.gone = True
            EXCHANGE.withdraw(self.name, self)
            binder, self._binder = self._binder, None
            if binder is not None:
                binder.post(binder.await_again if self.pipe.withheld else binder.dismiss, self)
                self._detach("the socket closed")

    def _arrived(self, pipe: Pipe) -> None:
        # What comes before we are told of the match is looked for then: a pattern must know its peer first. What comes
        # after we have gone was sent before the peer heard of that.
        if self._binder is not None or self.gone:
            super()._arrived(pipe)

    def matched(self, binder: Binder) -> None:
        """``binder`` has joined, and is wired at its ends of the lanes."""
        if self.gone:
            binder.post(binder.dismiss, self)
            return
        self._waiting = False
        self._binder = binder
        self.wire_inbox(self.pipe)
        self.pipe.peer = binder.endpoint
        self.pipe.in_process = True
        self.pipe.hang_up = self._hang_up
        self.pipe.identity = binder.owner.options.routing_id
        self.owner.report(Connected(endpoint=self.endpoint, peer=binder.endpoint))
        self.owner.connected(self.pipe)
        withheld = self.pipe.withheld
        if withheld:
            self.pipe.in_process = False  # what waits is not the peer's own yet
            self.pipe.outbox.wake = partial(self._release, binder)
        self.look(self.pipe)
        if self.speaks_first and not withheld:
            binder.post(binder.begin, self)
        self._seat.wake()

    def _release(self, binder: Binder) -> None:
        """Let ``binder`` have what was withheld."""
        self.pipe.in_process = True
        self.pipe.outbox.wake = nobody
        binder.post(binder.begin, self)

    def refused(self, reason: str) -> None:
        """The binder would not have us."""
        if self.gone:
            return
        self._waiting, self._refused = False, True
        self.owner.report(HandshakeFailed(endpoint=self.endpoint, peer=self.endpoint, reason=reason))
        self._seat.wake()

    def lose(self, binder: Binder, reason: str, rejected: bool = False) -> None:
        """``binder`` has gone; what it had not received is still in the outbox. After a rejection, wait a moment."""
        if self._binder is binder:
            self._binder = None
            self._rejected = rejected
            self.pipe.in_process = False
            self._detach(reason)
            self._seat.wake()

    def _hang_up(self, reason: str) -> None:
        binder = self._binder
        if binder is not None:
            leaves = self.owner.options.gives_up_after("disconnect")
            binder.post(binder.dismiss if leaves else binder.await_again, self)
            self.lose(binder, reason)

    def _detach(self, reason: str) -> None:
        pipe = self.pipe
        pipe.hang_up = ignored
        pipe.outbox.asleep = False
        pipe.outbox.wake = nobody
        if not self.gone:
            pipe.inbox.wake = nobody
        pipe.inbox.resume = nobody
        pipe.outbox.set_limit(self.owner.options.send_hwm)
        self.owner.lost(pipe, reason)
        self.owner.report(Disconnected(endpoint=self.endpoint, peer=pipe.peer, reason=reason))


EXCHANGE: Exchange[Binder, Connecter] = Exchange()
os.register_at_fork(after_in_child=EXCHANGE.forget_all)


def _misfit(ours: str, theirs: str) -> str:
    """Return why a socket of type ``ours`` cannot talk to one of type ``theirs``, or "" when it can."""
    try:
        check_peer(ours, theirs)
    except ProtocolError as error:
        return str(error)
    return ""
