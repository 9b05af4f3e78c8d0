"""DEALER and ROUTER (RFC 28): requests and replies without an order, to many peers at once."""

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
    """Send to the peer that the first frame names, and receive with the sender's routing id as the first frame.

    A peer's routing id is what it calls itself (its option ``routing_id``), else five bytes of which the first is 0,
    chosen anew for each that connects. A message for a peer that is not there, or whose queue is full, is dropped,
    counted and reported; with ``router_mandatory``, the one raises `Unroutable` and the other waits. A message of one
    frame, which would be a routing id and nothing to send, raises ValueError.
    """

    socket_type = "ROUTER"
    chooses = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._mandatory = self.options.router_mandatory
        # A peer that is a ROUTER too would turn away the second connection of the same name, again and again.
        self._connects_once = bool(self.options.routing_id)
        # Within the process the inbox is the peer's outbox: for the notice to come first, it takes a queue of our own.
        self._translates = "connect" in self.options.router_notify

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send all frames but the first to the peer that the first one names.

        Waits only with ``router_mandatory``, while the queue of that peer is full. A send that need not wait is a
        checkpoint only at every 256th message. Raises `Unroutable`, with ``router_mandatory``, ValueError when there
        are fewer than two frames, and ``trio.ClosedResourceError``.
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
                f"a message to send with a Router begins with the routing id of its peer, got only "
                f"{shortened(message)}: write send_multipart([routing_id, body])"
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
        """Answer each message with what ``await handler(message)`` returns, until cancelled or the socket is closed.

        ``message`` is what the peer sent without its envelope: ``bytes``, or a list of several frames. The handler
        returns the same, or None to send nothing. At most ``concurrency`` handlers run at once; while so many do,
        nothing more is received. An exception in a handler goes to ``on_error(error)``, which returns a reply or
        None; without it, it is logged, and the requester gets no reply. Replies to peers that are gone are dropped
        and counted. Cancelled, it cancels the handlers; what they had not begun to answer stays to be received. Raises
        ``trio.ClosedResourceError`` when the socket is closed.
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

    # -- who is who ----------------------------------------------------------------------------------------

    def _refuse(self, pipe: Pipe) -> str | None:
        other = self._by_address.get(pipe.identity) if pipe.identity else None
        if other is None or other is pipe or self.options.router_handover:
            return super()._refuse(pipe)
        return f"another peer is there with the routing id {shortened(pipe.identity)}"

    def _address_for(self, pipe: Pipe) -> bytes:
        other = self._by_address.get(pipe.identity) if pipe.identity else pipe
        if other is None:
            return pipe.identity
        if other is not pipe and self.options.router_handover:
            reason = f"another peer has come with the routing id {shortened(pipe.identity)}"
            if other.connecting:
                self._unknow(other)
                other.hang_up(reason)  # it connects again
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
