"""How does each request get its own reply? The envelope has a number, which the reply repeats."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from typing import Unpack

import trio
from attrs import define, field

from ..errors import MultipartMessage, PeerLost
from ..message import Buffer, Message, as_frame, as_message, frames_of, message_of
from ..options import OptionArguments
from ..pipe import Pipe
from ..reasons import UNAWAITED_REPLY, Reason
from .incoming import Receiver
from .outgoing import RoundRobinMultipart

log = logging.getLogger("mq")

DELIMITER = b""
"""RFC 28: the empty frame that ends the envelope."""


def unanswered(pipe: Pipe) -> PeerLost:
    """Return the error for a request to the peer of ``pipe``, which is gone."""
    return PeerLost(f"the peer at {pipe.peer or pipe.endpoint} is gone, and has not answered the request")


@define(eq=False)
class _Asked:
    """One call of `Req.request` that waits for its reply."""

    number: bytes
    pipe: Pipe | None = None
    """The peer that gets the request; None while the request waits for a peer."""
    wire: Message | None = None
    reply: Message | None = None
    failure: PeerLost | None = None
    seat: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    @property
    def done(self) -> bool:
        return self.reply is not None or self.failure is not None


class Requester(RoundRobinMultipart, Receiver):
    """Send requests of many tasks at the same time. A subclass combines this with receive()."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._number = random.getrandbits(32)
        self._asked: dict[bytes, _Asked] = {}
        self._told_of_numbers = False

    async def request(self, message: bytes) -> bytes:
        """Send ``message`` to the next peer, and return the reply. Many tasks may call this at the same time.

        Waits until a peer has room, and then for the reply. There is no time limit: use ``trio.fail_after``. A
        cancelled call leaves nothing behind: an unsent request is withdrawn, and a late reply is dropped and counted.
        Each request carries a number, as with ZMQ_REQ_CORRELATE. A REP, and any other peer that follows RFC 28, repeats
        the number in the reply. Raises `PeerLost` if the peer disconnects before it replies, `MultipartMessage` for a
        reply of several frames, and ``trio.ClosedResourceError`` when the socket is closed.
        """
        reply = await self._request([as_frame(message)], "request")
        if isinstance(reply, list):
            raise MultipartMessage(reply)
        return reply

    async def request_multipart(self, frames: Iterable[Buffer]) -> list[bytes]:
        """Send a request of one or more frames as `request` does, and return the frames of the reply."""
        return frames_of(await self._request(frames_of(as_message(frames)), "request_multipart"))

    async def _request(self, frames: list[bytes], doing: str) -> Message:
        asked = _Asked(self._next_number())
        asked.wire = [asked.number, DELIMITER, *frames]
        self._asked[asked.number] = asked
        try:
            asked.pipe = await self._send(asked.wire, doing)
            await self._wait_for_reply(asked, doing)
        except BaseException:
            self._withdraw(asked)
            raise
        finally:
            del self._asked[asked.number]
            self._pass_the_watch_on()
        if asked.failure is not None:
            raise asked.failure
        assert asked.reply is not None
        return asked.reply

    async def _wait_for_reply(self, asked: _Asked, doing: str) -> None:
        """Wait for the reply. Meanwhile, read the connection of the only peer, unless another task does."""
        while not asked.done:
            self._check_open()
            pipe = self._only_peer
            if pipe is not None and pipe.read is not None and self._reading is None and not self._receivers:
                await self._read(pipe.read, pipe)
            else:
                if pipe is not None:
                    pipe.wanted = len(self._asked) == 1 and not self._receivers
                await self._park(asked.seat, doing)

    def _offered(self) -> None:
        super()._offered()
        self._pass_the_watch_on()

    def _pass_the_watch_on(self) -> None:
        """Wake another waiting task to read the connection, if no task reads it now."""
        pipe = self._only_peer
        if pipe is not None and pipe.read is not None and self._reading is None and self._asked:
            next(iter(self._asked.values())).seat.unpark_all()

    def _withdraw(self, asked: _Asked) -> None:
        """Remove a cancelled request from the queue if it is still there, or drop its reply."""
        pipe = asked.pipe
        if pipe is None:
            return
        if asked.reply is not None:
            self._received -= 1
            self._drop(pipe, 1, UNAWAITED_REPLY)
            return
        if pipe.in_process:  # the request is in the queue of the peer already
            return
        outbox = pipe.outbox
        try:
            outbox.remove(asked.wire)  # type: ignore[arg-type]
        except ValueError:
            return
        self._sent -= 1
        if len(outbox) <= outbox.low:
            outbox.reopen()

    def _next_number(self) -> bytes:
        self._number = (self._number + 1) % 2**32
        return self._number.to_bytes(4, "big")

    def _claim(self, pipe: Pipe, frames: list[bytes]) -> bool:
        """Give a reply to the task that waits for it. Returns whether a task does."""
        asked = self._asked.get(frames[0])
        if asked is None or asked.pipe is not pipe or asked.done or frames[1:2] != [DELIMITER] or len(frames) < 3:
            return False
        asked.reply = message_of(frames[2:])
        self._received += 1
        asked.seat.unpark_all()
        return True

    def _suspect(self, pipe: Pipe, frames: list[bytes]) -> None:
        """Warn once in the log if a peer sends a reply without a number while a task waits for its reply."""
        numbered = len(frames) > 2 and len(frames[0]) == 4 and frames[1] == DELIMITER
        if self._told_of_numbers or numbered or not any(asked.pipe is pipe for asked in self._asked.values()):
            return
        self._told_of_numbers = True
        log.warning(
            "%s.request() dropped a reply without the number of its request from %s: a program with a ROUTER socket "
            "must send back all frames of a request up to the empty frame. If that program cannot be changed, use "
            "send() and receive() instead of request()",
            self._name, pipe.peer or pipe.endpoint,
        )  # fmt: skip

    async def _wait(self, doing: str) -> None:
        try:
            await super()._wait(doing)
        finally:
            self._pass_the_watch_on()

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        # Requests that are still in the queue go to the peer when it reconnects.
        self._give_up(pipe, set() if pipe.in_process else set(map(id, pipe.outbox)))

    def _forget(self, pipe: Pipe, reason: Reason, detail: str = "") -> None:
        super()._forget(pipe, reason, detail)
        self._give_up(pipe, set())

    def _give_up(self, pipe: Pipe, unsent: set[int]) -> None:
        """Fail the requests to ``pipe``, except the ``unsent`` ones, and wake all waiting tasks."""
        for asked in self._asked.values():
            if asked.pipe is pipe and not asked.done and id(asked.wire) not in unsent:
                asked.failure = unanswered(pipe)
            asked.seat.unpark_all()

    def _stop(self) -> None:
        super()._stop()
        for asked in self._asked.values():
            asked.seat.unpark_all()
