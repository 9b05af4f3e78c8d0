"""Whose message comes next? Ways to choose among the peers that something was received from."""

from __future__ import annotations

from collections import deque
from threading import get_ident
from typing import Unpack

import trio
from trio.lowlevel import checkpoint

from ..errors import MultipartMessage
from ..message import Message
from ..options import OptionArguments
from ..pipe import Pipe
from ..socket import Socket

_TURN = 256
"""Messages after which a task that never has to wait lets the others run."""


class FairQueue(Socket, trio.abc.ReceiveChannel[bytes]):
    """Receive one message from each peer that has some, in turn; wait while none has.

    Messages that came before a peer left are still received.
    """

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._readable: deque[Pipe] = deque()
        self._receivers = trio.lowlevel.ParkingLot()
        self._receive_turn = _TURN
        self._reading: Pipe | None = None
        """The pipe whose connection a receiving task reads."""

    async def receive(self) -> bytes:
        """Receive a message of one frame; waits while there is none.

        A receive that need not wait is a checkpoint only at every 256th message. Cancelled, it has received
        nothing. Raises `MultipartMessage`, which carries the frames, for a message of several, and
        ``trio.ClosedResourceError``.
        """
        if self._thread != get_ident():
            self._complain()
        if self._received >= self._receive_turn:
            await checkpoint()
            self._receive_turn = self._received + _TURN
        ring = self._readable
        if ring:
            self._received += 1
            pipe = ring[0]
            inbox = pipe.inbox
            message = inbox.popleft()
            if not inbox:
                self._empty(pipe)
            elif len(ring) > 1:
                ring.rotate(-1)
            if inbox.stalled and len(inbox) <= inbox.low:
                inbox.stalled = False
                inbox.resume()
        else:
            message = await self._receive_later("receive")
        if type(message) is bytes:
            return message
        raise MultipartMessage(message)  # type: ignore[arg-type]

    __anext__ = receive

    async def receive_multipart(self) -> list[bytes]:
        """Receive any message as the list of its frames. Otherwise as `receive`."""
        if self._thread != get_ident():
            self._complain()
        if self._received >= self._receive_turn:
            await checkpoint()
            self._receive_turn = self._received + _TURN
        message = self._pop() if self._readable else await self._receive_later("receive_multipart")
        return [message] if type(message) is bytes else message  # type: ignore[return-value]

    def receive_nowait(self) -> bytes:
        """Receive a message of one frame if there is one, else raise ``trio.WouldBlock``."""
        self._check_open()
        message = self._pop()
        if type(message) is bytes:
            return message
        raise MultipartMessage(message)  # type: ignore[arg-type]

    def receive_multipart_nowait(self) -> list[bytes]:
        """Receive any message if there is one, else raise ``trio.WouldBlock``."""
        self._check_open()
        message = self._pop()
        return [message] if type(message) is bytes else message  # type: ignore[return-value]

    async def _receive_later(self, doing: str) -> Message:
        while not self._readable:
            await self._wait(doing)
        message = self._pop()
        if self._readable:  # more has come than receivers were woken for
            self._receivers.unpark()
        return message

    async def _wait(self, doing: str) -> None:
        """Wait until something may be there: read the only peer's connection here if that is possible."""
        pipe = self._only_peer
        if pipe is not None and pipe.read is not None and not self._receivers and not self._closing:
            self._reading = pipe
            try:
                await pipe.read()
            finally:
                self._reading = None
            return
        if self._reading is not None:  # two tasks want what comes, so neither shall keep it to itself
            self._reading.stir()
        if pipe is not None:
            pipe.wanted = not self._receivers
        await self._park(self._receivers, doing)

    def _pop(self) -> Message:
        ring = self._readable
        if not ring:
            raise trio.WouldBlock
        self._received += 1
        pipe = ring[0]
        inbox = pipe.inbox
        message = inbox.popleft()
        if not inbox:
            self._empty(pipe)
        elif len(ring) > 1:
            ring.rotate(-1)
        if inbox.stalled and len(inbox) <= inbox.low:
            inbox.stalled = False
            inbox.resume()
        return message

    def _empty(self, pipe: Pipe) -> None:
        """Leave ``pipe`` out of the ring until something comes."""
        self._readable.popleft()
        pipe.readable = False
        pipe.inbox.asleep = True
        if pipe.inbox:  # a producer in another thread was just there
            self._arrived(pipe)

    def _arrived(self, pipe: Pipe) -> None:
        if self._closing or pipe.readable:
            return
        inbox = pipe.inbox
        if not inbox:
            # A producer in another thread woke us for what has been received since: we sleep on.
            inbox.asleep = True
            if not inbox:
                return
        pipe.readable = True
        inbox.asleep = False
        self._readable.append(pipe)
        if self._reading is not None and self._reading is not pipe:
            self._reading.stir()
        self._receivers.unpark(count=len(pipe.inbox))

    def _abandon(self, pipe: Pipe) -> None:
        super()._abandon(pipe)
        if pipe.readable:
            pipe.readable = False
            self._readable.remove(pipe)

    def _stop(self) -> None:
        super()._stop()
        self._readable.clear()
        self._receivers.unpark_all()
        if self._reading is not None:
            self._reading.stir()
