"""What stands between two sockets and passes messages on? A proxy, as zmq_proxy() and zmq_proxy_steerable() are."""

from __future__ import annotations

import logging
import struct
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import trio
from attrs import define, field

from .errors import OutOfTurn, Unroutable
from .message import shortened
from .patterns.client_server import Client, Peer, Server
from .patterns.dealer_router import Dealer, Router
from .patterns.groups import Dish, Radio
from .patterns.incoming import Receiver
from .patterns.outgoing import RoundRobin
from .patterns.pair import Channel, Pair
from .patterns.pipeline import Gather, Pull, Push, Scatter
from .patterns.pubsub import Pub, Sub
from .patterns.raw import Stream
from .patterns.reqrep import Rep, Req
from .patterns.turn import TURN
from .patterns.xpubxsub import XPub, XSub
from .socket import Socket

log = logging.getLogger("mq")

_SHAPES: dict[type[Socket], str] = {
    **dict.fromkeys((Pair, Push, Pull, Pub, Sub, XPub, XSub, Dealer, Router, Rep, Stream), "frames"),
    **dict.fromkeys((Channel, Client, Scatter, Gather), "one frame"),
    **dict.fromkeys((Radio, Dish), "a group and a frame"),
}
"""What the messages of each type are made of."""

_NOT_BETWEEN = {
    Req: "it takes nothing but the replies to its own requests; put a Dealer there",
    Rep: "it answers one request at a time; put a Router there, or pass the Rep as both sides to have it echo",
    Server: "the numbers of its peers mean nothing to the other side; put a Router there, and Dealers in its clients",
    Peer: "the numbers of its peers mean nothing to the other side; put a Router there, and Dealers in its clients",
}
"""Types that do not fit between others, and what does."""

_CAPTURES = (Pub, XPub, Push, Pair, Dealer)
_CONTROLS = (Pair, Rep, Pull, Sub)

_CAPTURE_FULL = "the proxy's capture could take no more"
_NOT_TAKEN = "the proxy passed on what cannot be sent, or its addressee was gone"
_STOPPED = "the proxy ended while a message waited for room"


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
    sockets = _checked({name: socket for name, socket in given.items() if socket is not None})
    switch = _Switch()
    forth, back = _Way(frontend, backend, capture, switch), _Way(backend, frontend, capture, switch)
    work: list[Callable[[], Awaitable[None]]] = [
        way.work for way in ((forth,) if frontend is backend else (forth, back)) if way.needed
    ]
    if control is not None:
        work.append(_Control(control, switch, forth, back).obey)
    work.extend(_Watch(socket).until_closed for socket in sockets)

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


# -- what can be joined ------------------------------------------------------------------------------------


def _checked(given: dict[str, Socket]) -> list[Socket]:
    """Return the sockets, each once, if a proxy can be made of them."""
    for name, socket in given.items():
        if not isinstance(socket, Socket):
            raise TypeError(f"proxy() joins sockets of mq; its {name} is {shortened(socket)}")
        socket._check_open()
    _check_sides(given["frontend"], given["backend"])
    for name, kinds in (("capture", _CAPTURES), ("control", _CONTROLS)):
        if name not in given:
            continue
        socket = given[name]
        if not isinstance(socket, kinds):
            known = ", ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"the {name} of a proxy is one of {known}; got a {socket._name}")
        if sum(each is socket for each in given.values()) > 1:
            raise ValueError(f"the {name} of a proxy is a socket of its own; it was given as something else, too")
    return list(dict.fromkeys(given.values()))


def _check_sides(frontend: Socket, backend: Socket) -> None:
    names = f"a {frontend._name} and a {backend._name}" if frontend is not backend else f"a {frontend._name} to itself"
    for side in (frontend, backend):
        for kind, why in _NOT_BETWEEN.items():
            if isinstance(side, kind) and not (kind is Rep and frontend is backend):
                raise TypeError(f"a proxy cannot join {names}: a {kind.__name__} does not fit, for {why}")
    ways = [(source, sink) for source, sink in ((frontend, backend), (backend, frontend)) if _could(source, sink)]
    if not ways:
        raise TypeError(f"a proxy cannot join {names}: neither can send what the other receives")
    for source, sink in ways:
        have, need = _shape(source), _shape(sink)
        if have != need and (have, need) != ("one frame", "frames"):
            raise TypeError(
                f"a proxy cannot join {names}: messages of a {source._name} are {have}, those of a {sink._name} {need}"
            )


def _could(source: Socket, sink: Socket) -> bool:
    return hasattr(source, "receive") and hasattr(sink, "send")


def _shape(socket: Socket) -> str:
    return next(shape for kind, shape in _SHAPES.items() if isinstance(socket, kind))


# -- its parts ---------------------------------------------------------------------------------------------


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


@define(eq=False)
class _Watch:
    socket: Socket

    async def until_closed(self) -> None:
        await self.socket._finished.wait()
        self.socket._check_open()


_ANYBODY = (None,)


class _Way:
    """One direction, and what has passed."""

    def __init__(self, source: Socket, sink: Socket, capture: Socket | None, switch: _Switch) -> None:
        self._source: Any = source
        self._sink: Any = sink
        self._capture: Any = capture
        self._switch = switch
        self._told = False
        self.forwards = _could(source, sink)
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
            if isinstance(self._sink, RoundRobin):
                await self._sink._until_sendable("send")
            if self._switch.on.is_set():
                await self._burst()

    async def _burst(self) -> None:
        """Pass on what is there, up to a turn, with no wait between taking a message and giving it away.

        That the sink waits nevertheless depends on the message, as to the one peer of a Router that is full.
        """
        source, sink, capture = self._source, self._sink, self._capture
        sink._check_open()
        source._receive_turn = sink._send_turn = TURN
        # Whoever sends in no turn takes, or drops and counts, any message at any time.
        readable: Collection[object] = source._readable
        takers: Collection[object] = sink._ring if isinstance(sink, RoundRobin) else _ANYBODY
        frames = hasattr(source, "receive_multipart")
        receive = source.receive_multipart if frames else source.receive
        send = sink.send
        send_several = getattr(sink, "send_multipart", None)
        for _ in range(TURN):
            if not readable or not takers:
                return
            message = await receive()
            if not frames:
                message = [message] if message.__class__ is bytes else message
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
                sink._drop_unsent(1, _NOT_TAKEN)
            except BaseException:
                sink._drop_unsent(1, _STOPPED)
                raise
            else:
                self.parts_out += parts
                self.bytes_out += size
            if capture is not None:
                self._copy(list(message))

    def _copy(self, message: list[bytes]) -> None:
        capture = self._capture
        try:
            capture.send_multipart_nowait(message)
        except trio.WouldBlock:
            capture._drop_unsent(1, _CAPTURE_FULL)
            if not self._told:
                self._told = True
                log.warning("a proxy goes on without its capture: the %s could take no more messages", capture._name)

    def _discard(self) -> None:
        self._source._receive_turn = TURN
        while self._source._readable:
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
                socket._drop_unsent(1, "the proxy's answer found no room")
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
