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
from . import service
from .incoming import FairQueueMultipart, Receiver
from .notices import Notices
from .outgoing import RoundRobinMultipart
from .overflow import Overflow

_DELIMITER = b""


def _frames(message: Message) -> list[bytes]:
    return [message] if isinstance(message, bytes) else message


def _message(frames: list[bytes]) -> Message:
    return frames[0] if len(frames) == 1 else frames


@define(eq=False)
class _Asked:
    """One request of `Req.request` that is on its way."""

    number: bytes
    pipe: Pipe | None = None
    wire: Message | None = None
    reply: Message | None = None
    failure: PeerLost | None = None
    seat: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    @property
    def done(self) -> bool:
        return self.reply is not None or self.failure is not None


class Req(Notices, RoundRobinMultipart, FairQueueMultipart, trio.abc.Channel[bytes]):
    """Send requests to the connected peers in turn, and receive the reply to each.

    `request` is one call for both, for any number of tasks at once. `send` and `receive` must alternate.
    """

    socket_type = "REQ"
    _translates = True
    _eager = True

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
        if pipe is None or pipe.in_process:
            return
        left = [message for message in pipe.outbox if message is not asked.wire]
        if len(left) < len(pipe.outbox):
            pipe.outbox.clear()
            pipe.outbox.extend(left)
            self._sent -= 1
            if pipe.outbox.stalled and len(pipe.outbox) <= pipe.outbox.low:
                pipe.outbox.stalled = False
                pipe.outbox.resume()

    def _next_number(self) -> bytes:
        self._number = (self._number + 1) % 2**32
        return self._number.to_bytes(4, "big")

    # -- send, then receive --------------------------------------------------------------------------------

    async def send(self, message: bytes) -> None:
        """Send a request of one frame to the next peer. Waits as a `mq.Push` does.

        Raises `OutOfTurn` before the reply to the last one was received, unless ``req_relaxed`` is set.
        """
        await self._ask(as_frame(message), "send")

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send a request of one or more frames. Otherwise as `send`."""
        await self._ask(as_message(frames), "send_multipart")

    def send_nowait(self, message: bytes) -> None:
        """As `send`; raises ``trio.WouldBlock`` where that would wait."""
        self._check_open()
        self._ask_at_once(as_frame(message))

    def send_multipart_nowait(self, frames: Iterable[Buffer]) -> None:
        """As `send_multipart`; raises ``trio.WouldBlock`` where that would wait."""
        self._check_open()
        self._ask_at_once(as_message(frames))

    async def _ask(self, message: Message, doing: str) -> None:
        self._check_turn()
        mark, wire = self._addressed(message)
        self._sending = True
        try:
            pipe = await self._send(wire, doing)
        finally:
            self._sending = False
        self._await_reply(pipe, mark)

    def _ask_at_once(self, message: Message) -> None:
        self._check_turn()
        mark, wire = self._addressed(message)
        self._await_reply(self._put(wire), mark)

    def _check_turn(self) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this Req; request() may be called by many at once")
        if self._awaited is not None and not self.options.req_relaxed:
            raise OutOfTurn(
                "this Req has sent a request, and its reply is to be received before the next; request() has no such "
                "order, and req_relaxed=True lifts it"
            )

    def _addressed(self, message: Message) -> tuple[bytes, Message]:
        mark = self._next_number() if self.options.req_correlate else b""
        return mark, [*([mark] if mark else []), _DELIMITER, *_frames(message)]

    def _await_reply(self, pipe: Pipe, mark: bytes) -> None:
        for each in list(self._readable):  # replies to earlier requests
            each.ready.clear()
            each.readable = False
        self._readable.clear()
        self._awaited, self._mark = pipe, mark

    def _grant_send_run(self, lane: Any) -> None:
        """Grant none: each request has its envelope."""

    def _grant_run(self, pipe: Pipe) -> None:
        """Grant none: each reply ends a turn."""

    def _pop(self) -> Any:
        self._check_asked()
        message = super()._pop()
        self._awaited = None
        return message

    async def _wait(self, doing: str) -> None:
        self._check_asked()
        await super()._wait(doing)

    def _check_asked(self) -> None:
        if self._awaited is None and not self._closing:
            raise OutOfTurn("this Req has sent no request whose reply could be received: send() comes first")
        asked = self._awaited
        if asked is not None and not (asked.connecting or asked.connected or asked.ready):
            self._awaited = None
            raise PeerLost("the peer that the request was sent to is gone, and has not answered")

    # -- replies -------------------------------------------------------------------------------------------

    def _fetch(self, pipe: Pipe) -> None:
        """Give each reply that has come to whoever waits for it."""
        for message in self._drain(pipe):
            frames = _frames(message)
            asked = self._asked.get(frames[0])
            if asked is not None and asked.pipe is pipe and frames[1:2] == [_DELIMITER] and len(frames) > 2:
                asked.reply = _message(frames[2:])
                self._received += 1
                asked.seat.unpark_all()
                continue
            envelope = [self._mark, _DELIMITER] if self._mark else [_DELIMITER]
            body = frames[len(envelope) :]
            if self._awaited is pipe and not pipe.ready and frames[: len(envelope)] == envelope and body:
                pipe.ready.append(_message(body))
            else:
                self._drop(pipe, 1, "replies that nobody waits for")

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        unsent = set(map(id, pipe.outbox)) if pipe.connecting else set()
        for asked in self._asked.values():
            if asked.pipe is pipe and not asked.done and id(asked.wire) not in unsent:
                asked.failure = PeerLost(f"{pipe.peer or pipe.endpoint} is gone, and has not answered the request")
            asked.seat.unpark_all()
        if self._awaited is pipe and not pipe.connecting:
            self._receivers.unpark_all()

    def _stop(self) -> None:
        super()._stop()
        for asked in self._asked.values():
            asked.seat.unpark_all()


class Rep(Notices, Overflow, Receiver, trio.abc.Channel[bytes]):
    """Receive a request, from all connected peers in turn, and send its reply. Or `serve` them with a function."""

    socket_type = "REP"
    _translates = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._asker: tuple[Pipe, list[bytes]] | None = None
        self._receiving = False

    async def receive(self) -> bytes:
        """Receive a request of one frame; waits while there is none. Cancelled, it has received nothing.

        Raises `OutOfTurn` before the last one was answered, `MultipartMessage`, which carries the frames, for a request
        of several, and ``trio.ClosedResourceError``.
        """
        request = await self._hear("receive")
        if isinstance(request, list):
            raise MultipartMessage(request)
        return request

    __anext__ = receive

    async def receive_multipart(self) -> list[bytes]:
        """Receive any request as the list of its frames. Otherwise as `receive`."""
        return _frames(await self._hear("receive_multipart"))

    def receive_nowait(self) -> bytes:
        """As `receive`; raises ``trio.WouldBlock`` where that would wait."""
        request = self._hear_at_once()
        if isinstance(request, list):
            raise MultipartMessage(request)
        return request

    def receive_multipart_nowait(self) -> list[bytes]:
        """As `receive_multipart`; raises ``trio.WouldBlock`` where that would wait."""
        return _frames(self._hear_at_once())

    async def _hear(self, doing: str) -> Message:
        self._check_unasked()
        self._receiving = True
        try:
            return self._take_request(await self._next(doing))
        finally:
            self._receiving = False

    def _hear_at_once(self) -> Message:
        self._check_open()
        self._check_unasked()
        return self._take_request(self._pop())

    def _check_unasked(self) -> None:
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this Rep; serve() answers many at once")
        if self._asker is not None:
            raise OutOfTurn("this Rep has received a request, and is to send its reply before it receives the next")

    def _take_request(self, request: tuple[Pipe, list[bytes], Message]) -> Message:
        pipe, envelope, message = request
        self._asker = pipe, envelope
        return message

    async def send(self, message: bytes) -> None:
        """Send the reply to the request that was received last. Waits for nobody.

        When that peer is gone, or its queue full, the reply is dropped, counted and reported. A send is a checkpoint
        only at every 256th message. Raises `OutOfTurn` when no request has been received.
        """
        self._check_open()
        await self._take_turn()
        self._answer(as_frame(message))

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send a reply of one or more frames. Otherwise as `send`."""
        self._check_open()
        await self._take_turn()
        self._answer(as_message(frames))

    def send_nowait(self, message: bytes) -> None:
        """As `send`, which never waits for a peer."""
        self._check_open()
        self._answer(as_frame(message))

    def send_multipart_nowait(self, frames: Iterable[Buffer]) -> None:
        """As `send_multipart`, which never waits for a peer."""
        self._check_open()
        self._answer(as_message(frames))

    def _answer(self, message: Message) -> None:
        if self._asker is None:
            raise OutOfTurn("this Rep has received no request that it could send a reply to: receive() comes first")
        (pipe, envelope), self._asker = self._asker, None
        self._reply(pipe, envelope, message)

    def _reply(self, pipe: Pipe, envelope: list[bytes], message: Message) -> None:
        self._sent += 1
        self._send_turn -= 1
        if not pipe.connected:
            self._drop(pipe, 1, service.GONE)
            return
        lane = pipe.outbox
        if lane.stalled:
            self._miss(pipe)
            return
        lane.append([*envelope, *_frames(message)])
        if lane.asleep:
            lane.wake()
        if len(lane) >= lane.limit:
            self._full(pipe)

    async def serve(
        self,
        handler: service.Handler,
        *,
        concurrency: int = 1,
        on_error: service.OnError | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Answer each request with what ``await handler(message)`` returns, until cancelled.

        ``message`` is ``bytes``, or a list of several frames; the handler returns the same, or None to send nothing. By
        default one request is answered after the other, as peers expect that send several at once; with a higher
        ``concurrency`` so many handlers run at the same time. An exception in a handler goes to ``on_error(error)``,
        which returns a reply or None; without it, it is logged, and the requester gets no answer.
        """

        async def receive() -> tuple[tuple[Pipe, list[bytes]], Message]:
            pipe, envelope, message = await self._next("serve")
            return (pipe, envelope), message

        def reply(way_back: tuple[Pipe, list[bytes]], message: Message) -> None:
            self._reply(*way_back, message)

        await service.serve(receive, reply, handler, concurrency, on_error, task_status)

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
