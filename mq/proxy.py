"""What stands between two sockets and passes messages on? A proxy, as zmq_proxy() and zmq_proxy_steerable() are."""

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
"""Bytes of a message that may count for more than one of a turn."""



async def proxy(
    frontend: Socket,
    backend: Socket,
    capture: Socket | None = None,
    control: Socket | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Pass messages between ``frontend`` and ``backend``, whole, in each direction that their types can.

    A message is taken from one side only when the other has room for one, so whoever sends too fast is held up, and
    cancelling the proxy loses nothing. ``frontend`` may be ``backend``: what it receives it sends back. ``capture``,
    a Pub, XPub, Push, Pair or Dealer, is sent a copy of each message; what it has no room for at once is left out,
    counted and reported by it, and said in the log. ``control``, a Pair, Rep, Pull or Sub, receives ``PAUSE``,
    ``RESUME``, ``TERMINATE`` and ``STATISTICS``, which a Pair or Rep answers with 8 frames.

    Returns after ``TERMINATE``; otherwise runs until cancelled. Raises TypeError for types that cannot be joined, and
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
            failure = failure or error  # the others follow from the first
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for part in work:
            nursery.start_soon(run, part)
        task_status.started()
    if failure is not None:
        raise failure


@define(eq=False)
class _Switch:
    """Whether messages pass."""

    on: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.on.set()

    def pause(self) -> None:
        if self.on.is_set():
            self.on = trio.Event()

    def resume(self) -> None:
        self.on.set()


class _Way:
    """One direction, and what has passed."""

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
        # The requests that an XPub receives have had their effect; but while too many wait it heeds no further ones.
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
        """Pass on what is there, up to a turn, with no wait between taking a message and giving it away.

        That the sink waits nevertheless depends on the message, as to the one peer of a Router that is full.
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
                log.warning("a proxy goes on without its capture: the %s could take no more messages", capture._name)

    def _discard(self) -> None:
        readable = self._source._begin_receiving()
        while readable:
            self._source.receive_multipart_nowait()


class _Control:
    """Carries out what is received on ``socket``."""

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
                log.warning("a proxy was given an %s", complaint)
                self._answer([complaint.encode()], command)

    def _answer(self, reply: list[bytes] | None, command: bytes) -> None:
        """Send ``reply``. A Rep owes one to every command; a Pair is sent those that say something."""
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
        """Return what zmq_proxy_steerable() does: parts and bytes, received and sent, of frontend and backend."""
        forth, back = self._ways
        numbers = [
            *(forth.parts_in, forth.bytes_in, back.parts_out, back.bytes_out),
            *(back.parts_in, back.bytes_in, forth.parts_out, forth.bytes_out),
        ]
        return [struct.pack("=Q", number) for number in numbers]
