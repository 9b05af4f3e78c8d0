"""Whose turn is it to send? REQ and REP (RFC 28) alternate: a request, then its reply."""

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
    """Receive one message at a time, and only when it is the turn of the socket to receive."""

    _instead = ""
    """The method that many tasks may call at the same time, for errors."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._hearing = False
        """Whether a task waits in receive()."""

    def _grant_run(self, pipe: Pipe, most: int) -> None:
        """Grant no run: after each message, the socket must send."""

    def _pop(self) -> Any:
        self._check_hearing()
        return super()._pop()

    async def _wait(self, doing: str) -> None:
        self._check_open()
        self._check_hearing()
        if self._hearing:
            raise trio.BusyResourceError(f"another task is receiving from this {self._name}: {self._instead}")
        self._hearing = True
        try:
            await super()._wait(doing)
        finally:
            self._hearing = False

    def _check_hearing(self) -> None:
        """Raise `OutOfTurn` if the socket must send first."""
        raise NotImplementedError


class Req(Notices, Sender, Requester, _InTurn, trio.abc.Channel[bytes]):
    """Send requests to the connected peers in turn, and receive the reply to each request.

    `request` does both in one call, and any number of tasks may call it at the same time. `send` and `receive` must
    alternate, otherwise they raise `OutOfTurn`. With ``req_relaxed``, `send` may be called again before the reply is
    received. `send` waits while there is no peer, or the send queues of all peers are full. `receive` returns only a
    reply from the peer that got the request. If that peer had connected to this socket and disconnects, `receive`
    raises `PeerLost`. If this socket had connected to the peer, `receive` waits for the next connection.
    """

    socket_type = "REQ"
    _connects_once = True
    _translates = True
    _eager = True
    _in_order = False
    """A reply belongs to one request, so connections need no order."""
    _instead = "many tasks may call request() at the same time"

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._sending = False
        self._awaited: Pipe | None = None
        """The peer that got the request of send(), until receive() returns the reply."""
        self._mark = b""
        """The number that the reply must repeat, with ``req_correlate``; otherwise empty."""

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
            raise trio.BusyResourceError(f"another task is sending on this Req: {self._instead}")
        if self._awaited is not None and not self.options.req_relaxed:
            raise OutOfTurn(
                "this Req waits for a reply: call receive() before the next send(). request() has no such order, and "
                "req_relaxed=True allows the next send()"
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
        """Grant no run: each request needs its envelope."""

    def _pop(self) -> Any:
        reply = super()._pop()
        self._awaited = None
        return reply

    def _check_hearing(self) -> None:
        asked = self._awaited
        if asked is None:
            raise OutOfTurn("this Req waits for no reply: call send() before receive()")
        if asked not in self._pipes and not asked.ready:
            self._awaited = None
            raise unanswered(asked)

    # -- replies -------------------------------------------------------------------------------------------

    def _fetch(self, pipe: Pipe) -> None:
        """Give each reply to the task that waits for it, and drop replies for which no task waits."""
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
    """Receive requests from all connected peers in turn, and send the reply to each. `serve` does both.

    `receive` and `send` must alternate, otherwise they raise `OutOfTurn`. `send` does not wait for room: if the peer of
    the request is gone, or its send queue is full, the reply is dropped, counted and reported.
    """

    socket_type = "REP"
    _translates = True
    _instead = "serve() can answer many requests at the same time"

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._asker: tuple[Pipe, list[bytes]] | None = None
        """The peer that waits for a reply, and the envelope of its request."""

    def _pop(self) -> Any:
        pipe, envelope, request = super()._pop()
        self._asker = pipe, envelope
        return request

    def _check_hearing(self) -> None:
        if self._asker is not None:
            raise OutOfTurn("this Rep must answer a request: call send() before the next receive()")

    async def _offer(self, message: Message, doing: str) -> None:
        self._check_open()
        await self._take_turn()
        self._offer_nowait(message)

    def _offer_nowait(self, message: Message) -> None:
        if self._asker is None:
            raise OutOfTurn("this Rep has no request to answer: call receive() before send()")
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
        """Answer each request with the result of ``await handler(message)``. Runs until cancelled.

        ``message`` is ``bytes``, or a list of several frames. The handler returns the same shapes as the reply, or None
        to send no reply. By default, requests are answered one after the other, because peers that send several
        requests expect the replies in order. With a higher ``concurrency``, so many handlers run at the same time. An
        exception in a handler is passed to ``on_error(error)``, which returns a reply or None. Without ``on_error``,
        the exception is logged, and the peer gets no reply.

        Cancelling `serve` cancels the handlers. Requests for which no handler has started stay in the receive queue.
        Raises ``trio.ClosedResourceError`` when the socket is closed, and `OutOfTurn` if `receive` has returned a
        request that is not answered yet.
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
            # RFC 28: the frames up to the empty frame are the envelope.
            end = frames.index(DELIMITER) + 1 if DELIMITER in frames else 0
            if not end or end == len(frames):
                advice = "a Dealer must send an empty frame before the body: send_multipart([b'', body])"
                self._drop_mistaken(pipe, 1, NO_DELIMITER, advice)
            else:
                requests.append((pipe, frames[:end], message_of(frames[end:])))
        return requests
