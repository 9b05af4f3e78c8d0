"""Whose turn is it to speak? REQ and REP (RFC 28): a request, then its reply."""

from __future__ import annotations

from typing import Any, Unpack

import trio

from ..errors import OutOfTurn
from ..message import Message, frames_of, message_of
from ..options import OptionArguments
from ..pipe import Pipe
from ..reasons import NO_DELIMITER, REQUESTER_GONE, UNAWAITED_REPLY, Reason
from .fair_queue import FairQueueMultipart
from .notices import Notices
from .overflow import Overflow
from .request import DELIMITER, Requester, unanswered
from .sender import Sender
from .service import Handler, OnError, Service


class _InTurn(FairQueueMultipart):
    """Receive one message at a time, when it is the socket's turn to receive."""

    _instead = ""
    """What many tasks may use at once."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._hearing = False
        """A task waits in receive()."""

    def _grant_run(self, pipe: Pipe, most: int) -> None:
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

    def _check_hearing(self) -> None:
        """Raise `OutOfTurn` when it is the turn to send."""
        raise NotImplementedError


class Req(Notices, Sender, Requester, _InTurn, trio.abc.Channel[bytes]):
    """Send requests to the connected peers in turn, and receive the reply to each.

    `request` is one call for both, for any number of tasks at once. `send` and `receive` must alternate, else they
    raise `OutOfTurn`; ``req_relaxed`` allows to send again before the reply has come. `send` waits while every peer's
    queue is full, or nobody is there. `receive` takes a reply from the peer that was asked only, and raises `PeerLost`
    when that one is gone and cannot come back: one that we connect to may.
    """

    socket_type = "REQ"
    _connects_once = True
    _translates = True
    _eager = True
    _in_order = False
    """A reply is for one request: nothing else is waited for."""
    _instead = "request() may be called by many at once"

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._sending = False
        self._awaited: Pipe | None = None
        """Whom the request went to that send() has sent, until receive() returns its reply."""
        self._mark = b""
        """What its reply has to repeat."""

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
        return mark, [*([mark] if mark else []), DELIMITER, *frames_of(message)]

    def _await_reply(self, pipe: Pipe, mark: bytes) -> None:
        for each in self._readable:  # replies to earlier requests
            self._drop(each, len(each.ready), UNAWAITED_REPLY)
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

    def _check_hearing(self) -> None:
        asked = self._awaited
        if asked is None:
            raise OutOfTurn("this Req has sent no request whose reply could be received: send() comes first")
        if asked not in self._pipes and not asked.ready:
            self._awaited = None
            raise unanswered(asked)

    # -- replies -------------------------------------------------------------------------------------------

    def _fetch(self, pipe: Pipe) -> None:
        """Give each reply that has come to whoever waits for it."""
        for message in self._drain(pipe):
            frames = frames_of(message)
            if self._claim(pipe, frames):
                continue
            envelope = [self._mark, DELIMITER] if self._mark else [DELIMITER]
            body = frames[len(envelope) :]
            if self._awaited is pipe and not pipe.ready and frames[: len(envelope)] == envelope and body:
                pipe.ready.append(message_of(body))
            else:
                self._drop(pipe, 1, UNAWAITED_REPLY)
                self._suspect(pipe, frames)

    def _forget(self, pipe: Pipe, reason: Reason, detail: str = "") -> None:
        super()._forget(pipe, reason, detail)
        if self._awaited is pipe:
            self._receivers.unpark_all()
            if self._reading is pipe:
                pipe.watch()


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
            self._queue(pipe, [*envelope, *frames_of(message)])
        else:
            self._sent += 1
            self._drop(pipe, 1, REQUESTER_GONE)

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
        for frames in map(frames_of, batch):
            # RFC 28: everything up to the empty frame is the way back.
            end = frames.index(DELIMITER) + 1 if DELIMITER in frames else 0
            if not end or end == len(frames):
                advice = "a Dealer puts an empty frame before the body, as in send_multipart([b'', body])"
                self._drop_mistaken(pipe, 1, NO_DELIMITER, advice)
            else:
                requests.append((pipe, frames[:end], message_of(frames[end:])))
        return requests
