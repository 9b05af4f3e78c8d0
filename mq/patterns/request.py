"""How does each request get its own reply? By a number in its envelope, which the reply repeats."""

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
"""RFC 28: what is before it is the way back."""


def unanswered(pipe: Pipe) -> PeerLost:
    """Return the error for a request that went to ``pipe``."""
    return PeerLost(f"the peer at {pipe.peer or pipe.endpoint} is gone, and has not answered the request")


@define(eq=False)
class _Asked:
    """One request of `Req.request` that is on its way."""

    number: bytes
    pipe: Pipe | None = None
    """Whom it went to, once it did."""
    wire: Message | None = None
    reply: Message | None = None
    failure: PeerLost | None = None
    seat: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    @property
    def done(self) -> bool:
        return self.reply is not None or self.failure is not None


class Requester(RoundRobinMultipart, Receiver):
    """Ask for many tasks at once. What a request has to do with receive() is for the subclass to say."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._number = random.getrandbits(32)
        self._asked: dict[bytes, _Asked] = {}
        self._told_of_numbers = False

    async def request(self, message: bytes) -> bytes:
        """Send ``message`` to the next peer and return its reply. Any number of tasks may do so at once.

        Waits until somebody is there with room, and then for the reply, for as long as the caller lets it. Cancelled,
        it leaves nothing behind: an unsent request is withdrawn, and a late reply is dropped and counted. Each request
        carries a number, as with ZMQ_REQ_CORRELATE, which a REP, or whoever follows RFC 28, repeats. Raises `PeerLost`
        when the peer goes before it has answered, `MultipartMessage` for a reply of several frames, and
        ``trio.ClosedResourceError``.
        """
        reply = await self._request([as_frame(message)], "request")
        if isinstance(reply, list):
            raise MultipartMessage(reply)
        return reply

    async def request_multipart(self, frames: Iterable[Buffer]) -> list[bytes]:
        """As `request`, for a request and a reply of one or more frames."""
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
        """Wait for the reply; read the only peer's connection meanwhile, unless another task does."""
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
        """Have another task read the connection, which nobody does now."""
        pipe = self._only_peer
        if pipe is not None and pipe.read is not None and self._reading is None and self._asked:
            next(iter(self._asked.values())).seat.unpark_all()

    def _withdraw(self, asked: _Asked) -> None:
        """Take a request that nobody waits for out of the queue, if it is still there, and drop its reply."""
        pipe = asked.pipe
        if pipe is None:
            return
        if asked.reply is not None:
            self._received -= 1
            self._drop(pipe, 1, UNAWAITED_REPLY)
            return
        if pipe.in_process:  # it is the peer's already
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
        """Give a message to the task that waits for it; return whether one does."""
        asked = self._asked.get(frames[0])
        if asked is None or asked.pipe is not pipe or asked.done or frames[1:2] != [DELIMITER] or len(frames) < 3:
            return False
        asked.reply = message_of(frames[2:])
        self._received += 1
        asked.seat.unpark_all()
        return True

    def _suspect(self, pipe: Pipe, frames: list[bytes]) -> None:
        """Say once in the log when a peer whose reply a task waits for sends one without a number."""
        numbered = len(frames) > 2 and len(frames[0]) == 4 and frames[1] == DELIMITER
        if self._told_of_numbers or numbered or not any(asked.pipe is pipe for asked in self._asked.values()):
            return
        self._told_of_numbers = True
        log.warning(
            "%s.request() waits for a reply with the number of its request, and dropped one without a number from %s: "
            "a program with a ROUTER socket must send back all frames of a request up to the empty frame; if that "
            "program cannot be changed, use send() and receive() instead of request()",
            self._name, pipe.peer or pipe.endpoint,
        )  # fmt: skip

    async def _wait(self, doing: str) -> None:
        try:
            await super()._wait(doing)
        finally:
            self._pass_the_watch_on()

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        # What the peer cannot have goes to it when it is back.
        self._give_up(pipe, set() if pipe.in_process else set(map(id, pipe.outbox)))

    def _forget(self, pipe: Pipe, reason: Reason, detail: str = "") -> None:
        super()._forget(pipe, reason, detail)
        self._give_up(pipe, set())

    def _give_up(self, pipe: Pipe, unsent: set[int]) -> None:
        """End the wait for replies from ``pipe``, but for requests that it still holds; let others look around."""
        for asked in self._asked.values():
            if asked.pipe is pipe and not asked.done and id(asked.wire) not in unsent:
                asked.failure = unanswered(pipe)
            asked.seat.unpark_all()

    def _stop(self) -> None:
        super()._stop()
        for asked in self._asked.values():
            asked.seat.unpark_all()
