"""REQ and REP (RFC 28): a request, then its reply."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, Unpack

import trio
from attrs import define, field

from ..errors import MultipartMessage, OutOfTurn, PeerLost
from ..message import Buffer, Message, as_frame, as_message
from ..options import OptionArguments
from ..pipe import Pipe
from .incoming import FairQueueMultipart
from .notices import Notices
from .outgoing import RoundRobinMultipart
from .overflow import Overflow
from .sender import Sender
from .service import GONE, Handler, OnError, Service

_DELIMITER = b""

_UNAWAITED = "replies that nobody waits for"


def _frames(message: Message) -> list[bytes]:
    return [message] if isinstance(message, bytes) else message


def _message(frames: list[bytes]) -> Message:
    return frames[0] if len(frames) == 1 else frames


class _InTurn(FairQueueMultipart):
    """Receive one message at a time, when it is the socket's turn to receive."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._hearing = False
        """A task waits in receive()."""

    def _grant_run(self, pipe: Pipe) -> None:
        """Grant none: each message ends a turn."""

    def _pop(self) -> Any:
        self._check_hearing()
        return super()._pop()

    async def _wait(self, doing: str) -> None:
        self._check_open()
        self._check_hearing()
        if self._hearing:
            raise trio.BusyResourceError(f"another task is receiving from this {self._name}; {self._instead}")
        self._hearing = True
        try:
            await super()._wait(doing)
        finally:
            self._hearing = False

    _instead = ""
    """What many tasks may use at once."""

    def _check_hearing(self) -> None:
        """Raise `OutOfTurn` when it is the turn to send."""
        raise NotImplementedError


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


class Req(Notices, Sender, RoundRobinMultipart, _InTurn, trio.abc.Channel[bytes]):
    """Send requests to the connected peers in turn, and receive the reply to each.

    `request` is one call for both, for any number of tasks at once. `send` and `receive` must alternate, else they
    raise `OutOfTurn`; ``req_relaxed`` allows to send again before the reply has come. `send` waits while every peer's
    queue is full, or nobody is there. `receive` takes a reply from the peer that was asked only, and raises `PeerLost`
    when that one is gone and cannot come back: one that we connect to may.
    """

    socket_type = "REQ"
    _translates = True
    _eager = True
    _instead = "request() may be called by many at once"

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._number = random.getrandbits(32)
        self._asked: dict[bytes, _Asked] = {}
        self._sending = False
        self._awaited: Pipe | None = None
        """Whom the request went to that send() has sent, until receive() returns its reply."""
        self._mark = b""
        """What its reply has to repeat."""

    # -- request: in one call ------------------------------------------------------------------------------

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
        return _frames(await self._request(_frames(as_message(frames)), "request_multipart"))

    async def _request(self, frames: list[bytes], doing: str) -> Message:
        asked = _Asked(self._next_number())
        asked.wire = [asked.number, _DELIMITER, *frames]
        self._asked[asked.number] = asked
        try:
            asked.pipe = await self._send(asked.wire, doing)
            await self._wait_for_reply(asked)
        finally:
            del self._asked[asked.number]
            if not asked.done:
                self._withdraw(asked)
            self._pass_the_watch_on()
        if asked.failure is not None:
            raise asked.failure
        assert asked.reply is not None
        return asked.reply

    async def _wait_for_reply(self, asked: _Asked) -> None:
        """Wait for the reply; read the only peer's connection meanwhile, unless another task does."""
        while not asked.done:
            self._check_open()
            pipe = self._only_peer
            if pipe is not None and pipe.read is not None and self._reading is None and not self._receivers:
                self._reading = pipe
                try:
                    await pipe.read()
                finally:
                    self._reading = None
            else:
                if pipe is not None:
                    pipe.wanted = len(self._asked) == 1 and not self._receivers
                await asked.seat.park()

    def _pass_the_watch_on(self) -> None:
        """Have another task read the connection, if this one did."""
        if self._reading is None and self._asked:
            next(iter(self._asked.values())).seat.unpark_all()

    def _withdraw(self, asked: _Asked) -> None:
        """Take a request that nobody waits for out of the queue, if it is still there."""
        pipe = asked.pipe
        if pipe is None or pipe.in_process:  # or is the peer's already
            return
        outbox = pipe.outbox
        try:
            outbox.remove(asked.wire)  # type: ignore[arg-type]
        except ValueError:
            return
        self._sent -= 1
        if outbox.stalled and len(outbox) <= outbox.low:
            outbox.stalled = False
            outbox.resume()

    def _next_number(self) -> bytes:
        self._number = (self._number + 1) % 2**32
        return self._number.to_bytes(4, "big")

    # -- send, then receive --------------------------------------------------------------------------------

    async def _offer(self, message: Message, doing: str) -> None:
        self._check_open()
        self._check_turn()
        mark, wire = self._addressed(message)
        self._sending = True
        try:
            pipe = await self._send(wire, doing)
        finally:
            self._sending = False
        self._await_reply(pipe, mark)

    def _offer_nowait(self, message: Message) -> None:
        self._check_turn()
        mark, wire = self._addressed(message)
        self._await_reply(self._put(wire), mark)

    def _check_turn(self) -> None:
        if self._sending:
            raise trio.BusyResourceError(f"another task is sending on this Req; {self._instead}")
        if self._awaited is not None and not self.options.req_relaxed:
            raise OutOfTurn(
                "this Req has sent a request, and its reply is to be received before the next; request() has no such "
                "order, and req_relaxed=True lifts it"
            )

    def _addressed(self, message: Message) -> tuple[bytes, Message]:
        mark = self._next_number() if self.options.req_correlate else b""
        return mark, [*([mark] if mark else []), _DELIMITER, *_frames(message)]

    def _await_reply(self, pipe: Pipe, mark: bytes) -> None:
        for each in self._readable:  # replies to earlier requests
            self._drop(each, len(each.ready), _UNAWAITED)
            each.ready.clear()
            each.readable = False
        self._readable.clear()
        self._awaited, self._mark = pipe, mark

    def _grant_send_run(self, lane: Any) -> None:
        """Grant none: each request has its envelope."""

    def _pop(self) -> Any:
        reply = super()._pop()
        self._awaited = None
        return reply

    async def _wait(self, doing: str) -> None:
        try:
            await super()._wait(doing)
        finally:
            self._pass_the_watch_on()

    def _check_hearing(self) -> None:
        asked = self._awaited
        if asked is None:
            raise OutOfTurn("this Req has sent no request whose reply could be received: send() comes first")
        if asked not in self._pipes and not asked.ready:
            self._awaited = None
            raise PeerLost(f"{_who(asked)} is gone, and has not answered the request")

    # -- replies -------------------------------------------------------------------------------------------

    def _fetch(self, pipe: Pipe) -> None:
        """Give each reply that has come to whoever waits for it."""
        for message in self._drain(pipe):
            frames = _frames(message)
            asked = self._asked.get(frames[0])
            if asked is not None and asked.pipe is pipe and frames[1:2] == [_DELIMITER] and len(frames) > 2:
                if asked.done:
                    self._drop(pipe, 1, _UNAWAITED)
                    continue
                asked.reply = _message(frames[2:])
                self._received += 1
                asked.seat.unpark_all()
                continue
            envelope = [self._mark, _DELIMITER] if self._mark else [_DELIMITER]
            body = frames[len(envelope) :]
            if self._awaited is pipe and not pipe.ready and frames[: len(envelope)] == envelope and body:
                pipe.ready.append(_message(body))
            else:
                self._drop(pipe, 1, _UNAWAITED)

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        # What the peer cannot have goes to it when it is back.
        self._give_up(pipe, set() if pipe.in_process else set(map(id, pipe.outbox)))

    def _forget(self, pipe: Pipe, reason: str) -> None:
        super()._forget(pipe, reason)
        self._give_up(pipe, set())
        if self._awaited is pipe:
            self._receivers.unpark_all()
            if self._reading is pipe:
                pipe.stir()

    def _give_up(self, pipe: Pipe, unsent: set[int]) -> None:
        """End the wait for replies from ``pipe``, but for requests that it still holds; let others look around."""
        for asked in self._asked.values():
            if asked.pipe is pipe and not asked.done and id(asked.wire) not in unsent:
                asked.failure = PeerLost(f"{_who(pipe)} is gone, and has not answered the request")
            asked.seat.unpark_all()

    def _stop(self) -> None:
        super()._stop()
        for asked in self._asked.values():
            asked.seat.unpark_all()


def _who(pipe: Pipe) -> str:
    return f"the peer at {pipe.peer or pipe.endpoint}"


class Rep(Notices, Sender, Overflow, Service, _InTurn, trio.abc.Channel[bytes]):
    """Receive a request, from all connected peers in turn, and send its reply. Or `serve` them with a function.

    `receive` and `send` must alternate, else they raise `OutOfTurn`. `send` waits for nobody: when the peer that asked
    is gone, or its queue full, the reply is dropped, counted and reported.
    """

    socket_type = "REP"
    _translates = True
    _instead = "serve() answers many at once"

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._asker: tuple[Pipe, list[bytes]] | None = None
        """Who waits for a reply: the peer, and the frames before its request."""

    def _pop(self) -> Any:
        pipe, envelope, request = super()._pop()
        self._asker = pipe, envelope
        return request

    def _check_hearing(self) -> None:
        if self._asker is not None:
            raise OutOfTurn("this Rep has received a request, and is to send its reply before it receives the next")

    async def _offer(self, message: Message, doing: str) -> None:
        self._check_open()
        await self._take_turn()
        self._offer_nowait(message)

    def _offer_nowait(self, message: Message) -> None:
        if self._asker is None:
            raise OutOfTurn("this Rep has received no request that it could send a reply to: receive() comes first")
        (pipe, envelope), self._asker = self._asker, None
        self._reply(pipe, envelope, message)

    def _reply(self, pipe: Pipe, envelope: list[bytes], message: Message) -> None:
        if pipe.connected:
            self._queue(pipe, [*envelope, *_frames(message)])
        else:
            self._sent += 1
            self._drop(pipe, 1, GONE)

    async def serve(
        self,
        handler: Handler,
        *,
        concurrency: int = 1,
        on_error: OnError | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Answer each request with what ``await handler(message)`` returns, until cancelled or the socket is closed.

        ``message`` is ``bytes``, or a list of several frames; the handler returns the same, or None to send nothing. By
        default one request is answered after the other, as peers expect that send several at once; with a higher
        ``concurrency`` so many handlers run at the same time. An exception in a handler goes to ``on_error(error)``,
        which returns a reply or None; without it, it is logged, and the requester gets no reply. Cancelled, it cancels
        the handlers; what they had not begun to answer stays to be received. Raises ``trio.ClosedResourceError`` when
        the socket is closed, and `OutOfTurn` while a request waits that receive() returned.
        """

        async def receive() -> tuple[tuple[Pipe, list[bytes]], Message]:
            request = await self._next("serve")
            way_back, self._asker = self._asker, None
            assert way_back is not None
            return way_back, request

        def reply(way_back: tuple[Pipe, list[bytes]], message: Message) -> None:
            self._reply(*way_back, message)

        await self._serve(receive, reply, handler, concurrency, on_error, task_status)

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        requests: list[tuple[Pipe, list[bytes], Message]] = []
        for message in batch:
            # RFC 28: everything up to the empty frame is the way back.
            end = message.index(_DELIMITER) + 1 if isinstance(message, list) and _DELIMITER in message else 0
            if not end or end == len(message):
                self._drop(pipe, 1, "requests without an empty frame before their body")
            else:
                requests.append((pipe, message[:end], _message(message[end:])))  # type: ignore[arg-type]
        return requests
