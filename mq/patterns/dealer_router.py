"""How do requests and replies travel without a fixed order? By DEALER and ROUTER (RFC 28), for many peers at once."""

from __future__ import annotations

from collections.abc import Iterable
from threading import get_ident
from typing import Unpack

import trio

from ..message import ONLY_BYTES, Buffer, Message, as_message, frames_of, message_of, shortened
from ..options import OptionArguments
from ..pipe import BULKY, Pipe
from ..reasons import REQUESTER_GONE
from .many import FairQueueManyMultipart, FromNamedMany, RoundRobinManyMultipart
from .notices import Notices
from .sender import Sender
from .service import Handler, OnError, Service, unwrap


class Dealer(Notices, RoundRobinManyMultipart, FairQueueManyMultipart, trio.abc.Channel[bytes]):
    """Send to all connected peers in turn, and receive from all of them in turn."""

    socket_type = "DEALER"
    _connects_once = True


class Router(Notices, Sender, Service, FromNamedMany, trio.abc.Channel[bytes]):
    """Send to the peer that the first frame names, and receive messages after the routing id of the sender.

    The routing id of a peer is the peer's option ``routing_id``. Without that option, the routing id is five bytes, of
    which the first is 0, and is new for each accepted connection. If no peer has the routing id, or if the send queue
    of the peer is full, the message is dropped, counted and reported. With ``router_mandatory``, the first case raises
    `Unroutable`, and in the second case the send waits. A message of one frame raises ValueError, because it has a
    routing id and no body.
    """

    socket_type = "ROUTER"
    chooses = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._mandatory = self.options.router_mandatory
        # A ROUTER peer would refuse each attempt at a second connection from the same routing id.
        self._connects_once = bool(self.options.routing_id)
        # Within the process, the inbox is the peer's outbox. A separate queue lets the notice come first.
        self._translates = "connect" in self.options.router_notify

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send all frames but the first to the peer whose routing id is the first frame.

        Waits only with ``router_mandatory``, while the send queue of that peer is full. A send that need not wait is a
        checkpoint only once per turn: 256 messages, or 1 MiB of messages of 8 KiB and more. A cancelled send has queued
        no message. Raises ValueError for fewer than two frames, with ``router_mandatory`` `Unroutable` if no peer has
        the routing id, and ``trio.ClosedResourceError`` when the socket is closed.
        """
        if (
            self._send_turn > 0
            and type(frames) is list
            and len(frames) > 1
            and type(frames[0]) is bytes
            and type(frames[1]) is bytes
            and (len(frames) == 2 or set(map(type, frames)) == ONLY_BYTES)
            and self._thread == get_ident()
        ):
            pipe = self._by_address.get(frames[0])
            if pipe is not None:
                lane = pipe.outbox
                if not lane.stalled:
                    self._send_turn -= 1
                    self._sent += 1
                    size = len(frames[1]) if len(frames) == 2 else sum(map(len, frames))
                    if size >= BULKY:
                        self._spend(size, lane)
                    lane.append(frames[1] if len(frames) == 2 else frames[1:])
                    if lane.asleep:
                        lane.wake()
                    if len(lane) >= lane.limit:
                        self._full(pipe)
                    return
        await self._offer(as_message(frames), "send_multipart")

    async def _offer(self, message: Message, doing: str) -> None:
        await self._send_to(*self._split(message), doing)

    def _offer_nowait(self, message: Message) -> None:
        self._send_to_nowait(*self._split(message))

    def _split(self, message: Message) -> tuple[bytes, Message]:
        if isinstance(message, bytes):
            raise ValueError(
                f"a message of a Router begins with the routing id of its peer, got only the frame "
                f"{shortened(message)}: call send_multipart([routing_id, body])"
            )
        return message[0], message_of(message[1:])

    async def serve(
        self,
        handler: Handler,
        *,
        concurrency: int = 64,
        on_error: OnError | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Answer each message with the result of ``await handler(message)``. Runs until cancelled.

        ``message`` is the body that the peer sent: ``bytes``, or a list of several frames. The handler returns the same
        shapes as the reply, or None to send no reply. At most ``concurrency`` handlers run at the same time, and while
        so many run, no message is received. An exception in a handler is passed to ``on_error(error)``, which returns a
        reply or None. Without ``on_error``, the exception is logged, and the peer gets no reply. Replies to peers that
        are gone are dropped and counted.

        Cancelling `serve` cancels the handlers. Messages for which no handler has started stay in the receive queue.
        Raises ``trio.ClosedResourceError`` when the socket is closed.
        """

        async def receive() -> tuple[list[bytes], Message]:
            return unwrap(await self.receive_multipart())

        def reply(envelope: list[bytes], message: Message) -> None:
            self._put_reply([*envelope, *frames_of(message)])

        await self._serve(receive, reply, handler, concurrency, on_error, task_status)

    def _put_reply(self, frames: list[bytes]) -> None:
        address, message = self._split(frames)
        pipe = self._by_address.get(address)
        if pipe is None:
            self._drop_unsent(1, REQUESTER_GONE)
        else:
            self._put_to(address, pipe, message)

    # -- routing ids ---------------------------------------------------------------------------------------

    def _refuse(self, pipe: Pipe) -> str | None:
        other = self._by_address.get(pipe.identity) if pipe.identity else None
        if other is None or other is pipe or self.options.router_handover:
            return super()._refuse(pipe)
        return f"another peer has the routing id {shortened(pipe.identity)}"

    def _address_for(self, pipe: Pipe) -> bytes:
        other = self._by_address.get(pipe.identity) if pipe.identity else pipe
        if other is None:
            return pipe.identity
        if other is not pipe and self.options.router_handover:
            reason = f"another peer took over the routing id {shortened(pipe.identity)} (router_handover)"
            if other.connecting:
                self._unknow(other)
                other.hang_up(reason)  # the socket connects to this peer again
            else:
                self._dismiss(other, reason)
                other.leave(reason)
                self._take_the_place_of(other, pipe)
            return pipe.identity
        return self._new_routing_id()

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        if "connect" in self.options.router_notify:
            self._notice(pipe, b"")

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        if "disconnect" in self.options.router_notify:
            self._notice(pipe, b"")
