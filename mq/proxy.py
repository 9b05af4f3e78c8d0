"""How do messages pass between two sockets? Through a proxy, like zmq_proxy() and zmq_proxy_steerable()."""

from __future__ import annotations

import logging
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from attrs import define, field

from . import reasons
from .errors import OutOfTurn, Unroutable
from .fitting import checked, could
from .message import shortened
from .patterns.incoming import Receiver
from .patterns.reqrep import Rep
from .patterns.turn import TURN, TURN_SIZE
from .patterns.xpubxsub import XPub
from .socket import Socket

log = logging.getLogger("mq")

_WEIGHTY = TURN_SIZE // TURN
"""A message of at least this many bytes can use up more of a turn than one message does."""



async def proxy(
    frontend: Socket,
    backend: Socket,
    capture: Socket | None = None,
    control: Socket | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Pass messages between ``frontend`` and ``backend``, in each direction that their socket types support.

    The proxy receives a message from one socket only when the other socket has room for a message. So fast senders
    wait by back-pressure, and cancelling the proxy loses no message. If ``frontend`` and ``backend`` are the same
    socket, the proxy sends each message back on the socket that received it.

    ``capture`` is a Pub, XPub, Push, Pair or Dealer. The proxy sends a copy of each message to ``capture``. If
    ``capture`` cannot take a copy at once, ``capture`` drops, counts and reports the copy, and the log says so once.

    ``control`` is a Pair, Rep, Pull or Sub. It receives the commands ``PAUSE``, ``RESUME``, ``TERMINATE`` and
    ``STATISTICS``. A Pair or Rep answers ``STATISTICS`` with 8 frames: frames received, bytes received, frames sent
    and bytes sent, of the frontend and then of the backend, each an unsigned 64-bit number in native byte order.

    Runs until cancelled, and returns after ``TERMINATE``. Raises TypeError for types that cannot be joined, and
    ``trio.ClosedResourceError`` when one of the sockets is closed.
    """
    given = {"frontend": frontend, "backend": backend, "capture": capture, "control": control}
    sockets = checked({name: socket for name, socket in given.items() if socket is not None})
    switch = _Switch()
    forth, back = _Way(frontend, backend, capture, switch), _Way(backend, frontend, capture, switch)
    work: list[Callable[[], Awaitable[None]]] = [
        way.work for way in ((forth,) if frontend is backend else (forth, back)) if way.needed
    ]
    if control is not None:
        work.append(_Control(control, switch, forth, back).obey)
    work.extend(socket._until_closed for socket in sockets)

    failure: Exception | None = None

    async def run(part: Callable[[], Awaitable[None]]) -> None:
        nonlocal failure
        try:
            await part()
        except Exception as error:
            failure = failure or error  # the first failure causes the later ones
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for part in work:
            nursery.start_soon(run, part)
        task_status.started()
    if failure is not None:
        raise failure


@define(eq=False)
class _Switch:
    """Whether messages pass, as the commands PAUSE and RESUME set it."""

    on: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.on.set()

    def pause(self) -> None:
        if self.on.is_set():
            self.on = trio.Event()

    def resume(self) -> None:
        self.on.set()


class _Way:
    """One direction of the proxy, and the numbers of frames and bytes that passed."""

    def __init__(self, source: Socket, sink: Socket, capture: Socket | None, switch: _Switch) -> None:
        self._source: Any = source
        self._sink: Any = sink
        self._capture: Any = capture
        self._switch = switch
        self._told = False
        self.forwards = could(source, sink)
        self.parts_in = self.bytes_in = self.parts_out = self.bytes_out = 0

    @property
    def needed(self) -> bool:
        # An XPub has already applied the subscriptions that it receives. But they must be taken from its queue: while
        # the queue is full, the XPub applies no further ones.
        return self.forwards or isinstance(self._source, XPub)

    async def work(self) -> None:
        source = self._source
        assert isinstance(source, Receiver)
        while True:
            await self._switch.on.wait()
            await source._until_receivable("receive")
            if not self.forwards:
                self._discard()
                continue
            await self._sink._until_sendable("send")
            if self._switch.on.is_set():
                await self._burst()

    async def _burst(self) -> None:
        """Pass on the waiting messages, at most one turn, and send each message right after receiving it.

        ``send`` can still wait if the room depends on the message: a Router with router_mandatory waits for the peer
        that the message names.
        """
        source, sink, capture = self._source, self._sink, self._capture
        takers, readable = sink._begin_sending(), source._begin_receiving()
        frames = hasattr(source, "receive_multipart")
        receive = source.receive_multipart if frames else source.receive
        send = sink.send
        send_several = getattr(sink, "send_multipart", None)
        for _ in range(TURN):
            if not readable or not takers:
                return
            message = await receive()
            if not frames:
                message = [message] if type(message) is bytes else message
            parts, size = len(message), sum(map(len, message))
            self.parts_in += parts
            self.bytes_in += size
            try:
                if parts == 1:
                    await send(message[0])
                elif send_several is None:
                    await send(*message)
                else:
                    await send_several(message)
            except (Unroutable, OutOfTurn, ValueError):
                sink._drop_unsent(1, reasons.PROXY_NOT_TAKEN)
            except BaseException:
                sink._drop_unsent(1, reasons.PROXY_STOPPED)
                raise
            else:
                self.parts_out += parts
                self.bytes_out += size
            if capture is not None:
                self._copy(list(message))
            # Large messages, and copies for many peers, make a turn shorter.
            if (size >= _WEIGHTY or sink.fans_out) and not (source._may_receive_on and sink._may_send_on):
                return

    def _copy(self, message: list[bytes]) -> None:
        capture = self._capture
        try:
            capture.send_multipart_nowait(message)
        except trio.WouldBlock:
            capture._drop_unsent(1, reasons.CAPTURE_FULL)
            if not self._told:
                self._told = True
                log.warning("the capture of a proxy, a %s, drops copies: it could not take one at once", capture._name)

    def _discard(self) -> None:
        readable = self._source._begin_receiving()
        while readable:
            self._source.receive_multipart_nowait()


class _Control:
    """Carries out the commands that ``socket`` receives."""

    def __init__(self, socket: Socket, switch: _Switch, forth: _Way, back: _Way) -> None:
        self._socket: Any = socket
        self._switch = switch
        self._ways = forth, back
        self._commands: dict[bytes, Callable[[], list[bytes] | None]] = {
            b"PAUSE": switch.pause,
            b"RESUME": switch.resume,
            b"TERMINATE": lambda: None,
            b"STATISTICS": self._statistics,
        }

    async def obey(self) -> None:
        command = b""
        while command != b"TERMINATE":
            frames = await self._socket.receive_multipart()
            command = frames[0] if len(frames) == 1 else b""
            if command in self._commands:
                self._answer(self._commands[command](), command)
            else:
                known = ", ".join(map(bytes.decode, self._commands))
                complaint = f"unknown command {shortened(frames[0] if len(frames) == 1 else frames)}: send {known}"
                log.warning("the control of a proxy received an %s", complaint)
                self._answer([complaint.encode()], command)

    def _answer(self, reply: list[bytes] | None, command: bytes) -> None:
        """Send ``reply``. A Rep must answer every command. A Pair answers only if there is a reply."""
        socket = self._socket
        if isinstance(socket, Rep):
            socket.send_multipart_nowait(reply or [b""])
        elif reply is not None and hasattr(socket, "send"):
            try:
                socket.send_multipart_nowait(reply)
            except trio.WouldBlock:
                socket._drop_unsent(1, reasons.PROXY_ANSWER)
        elif reply is not None and command in self._commands:
            log.warning("a proxy cannot answer STATISTICS on a %s: use a Rep or a Pair", socket._name)

    def _statistics(self) -> list[bytes]:
        """Return frames and bytes of both sides, received and sent, in the order of zmq_proxy_steerable()."""
        forth, back = self._ways
        numbers = [
            *(forth.parts_in, forth.bytes_in, back.parts_out, back.bytes_out),
            *(back.parts_in, back.bytes_in, forth.parts_out, forth.bytes_out),
        ]
        return [struct.pack("=Q", number) for number in numbers]
