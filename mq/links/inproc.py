"""How are two sockets of one process driven? They share their lanes: the outbox of one is the inbox of the other.

The lanes belong to the connecting socket, and remain when the binding socket closes. Messages that the binding socket
has not received wait there for the next socket that binds the endpoint.
"""

from __future__ import annotations

import os
from functools import partial

import trio

from ..errors import ProtocolError
from ..monitor import Connected, ConnectRetried, Disconnected, HandshakeFailed, Handshaken
from ..pipe import Pipe, ignored, nobody
from ..protocols.zmtp.peers import check_peer
from ..transports.inproc import Exchange
from .backoff import Backoff
from .owner import Owner
from .parking import Seat
from .wiring import End


class Binder(End):
    """The socket that has bound a name. Its task holds the connections."""

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
        """Accept no more connections."""
        EXCHANGE.unbind(self.name, self)
        self._open = False

    def close(self) -> None:
        """Give up the name. The connecters wait for the next socket that binds it."""
        self.stop_listening()
        for connecter in list(self._pipes):
            self._release(connecter, "the endpoint was closed", readable=False)
            connecter.post(connecter.lose, self, "the binding socket closed")

    def accept(self, connecter: Connecter) -> None:
        """Connect with ``connecter``. This runs in the binder's thread."""
        if connecter.gone:
            return
        own = self.owner.options
        theirs = connecter.owner.options
        pipe = self.owner.make_pipe(self.endpoint, False, (connecter.pipe.inbox, connecter.pipe.outbox))
        pipe.identity = theirs.routing_id
        pipe.origin = pipe.identity or self.endpoint  # peers without a routing id in this process have one origin
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
        """Receive the messages that ``connecter`` sends, and those that it sent before the binder was there."""
        pipe = self._pipes.get(connecter)
        if pipe is not None:
            self.wire_inbox(pipe)
            self.look(pipe)

    def dismiss(self, connecter: Connecter) -> None:
        """``connecter`` has gone. The messages that it sent can still be received."""
        self.begin(connecter)
        self._release(connecter, "the connecting socket closed", readable=True)

    def await_again(self, connecter: Connecter) -> None:
        """``connecter`` has hung up, and will connect again. The messages that it sent wait for its next connection."""
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
        """End the connection with ``connecter``, if there is one."""
        pipe = self._pipes.pop(connecter, None)
        if pipe is None:
            return
        pipe.inbox.wake = nobody
        if not readable:
            self.owner.abandon(pipe)
        self.owner.lost(pipe, reason)
        self.owner.report(Disconnected(endpoint=self.endpoint, peer=connecter.endpoint, reason=reason))


class Connecter(End):
    """The socket that connects to a name. Its task connects again after the connection is lost."""

    def __init__(self, owner: Owner, endpoint: str, pipe: Pipe) -> None:
        super().__init__(owner, endpoint)
        self.pipe = pipe
        self.wire_outbox(pipe)
        pipe.inbox.wake = nobody  # `matched` finds the messages that arrive before it is called
        self._binder: Binder | None = None
        self._seat = Seat()
        self._waiting = True
        """No binder has accepted or refused the connection yet."""
        self._refused = False
        self._rejected = False
        """The binder has hung up, and is still there."""
        self.gone = False
        """The connecter wants no more connections. The binder's thread reads this mark."""

    async def dial(self) -> None:
        """Connect, and connect again after each connection, until cancelled or until the options forbid it."""
        owner = self.owner
        backoff = Backoff(owner, self.pipe)
        try:
            while True:
                self._waiting, self._refused, self._rejected = True, False, False
                binder = EXCHANGE.connect(self.name, self)
                end = "handshake"
                if binder is not None and not binder.post(binder.accept, self):
                    self._waiting, self._refused = False, True  # the binder's run has just ended
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
        # A pattern must know its peer before messages arrive, so `matched` looks for earlier messages. The binder sends
        # until it knows that the connecter has gone, so later messages may arrive too.
        if self._binder is not None or self.gone:
            super()._arrived(pipe)

    def matched(self, binder: Binder) -> None:
        """``binder`` has accepted the connection, and has wired its ends of the lanes."""
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
            self.pipe.in_process = False  # the messages in the outbox are not the peer's yet
            self.pipe.outbox.wake = partial(self._release, binder)
        self.look(self.pipe)
        if self.speaks_first and not withheld:
            binder.post(binder.begin, self)
        self._seat.wake()

    def _release(self, binder: Binder) -> None:
        """Have ``binder`` receive the messages of the outbox, which are no longer withheld."""
        self.pipe.in_process = True
        self.pipe.outbox.wake = nobody
        binder.post(binder.begin, self)

    def refused(self, reason: str) -> None:
        """The binder has refused the connection."""
        if self.gone:
            return
        self._waiting, self._refused = False, True
        self.owner.report(HandshakeFailed(endpoint=self.endpoint, peer=self.endpoint, reason=reason))
        self._seat.wake()

    def lose(self, binder: Binder, reason: str, rejected: bool = False) -> None:
        """``binder`` has gone. The messages that it has not received are still in the outbox.

        If the binder ``rejected`` the connection, the next attempt follows after the reconnect interval.
        """
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
    """Return why a socket of type ``ours`` cannot connect to one of type ``theirs``, or "" if it can."""
    try:
        check_peer(ours, theirs)
    except ProtocolError as error:
        return str(error)
    return ""
