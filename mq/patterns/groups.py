"""How are messages sent to a group? By RADIO and DISH (RFC 48): to each peer that has joined the group."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from threading import get_ident
from typing import Any, Unpack

from ..limits import check_group
from ..message import Join, Leave, Message, as_bytes, as_frame, first_frame, shortened
from ..options import OptionArguments
from ..pipe import BULKY, Pipe
from .broadcast import Broadcast
from .fair_queue import Choosy
from .many import LabelledMany

_NOBODY: dict[Pipe, None] = {}


def _as_group(group: object) -> bytes:
    checked = as_bytes(group, "group")
    check_group(checked)
    return checked


class Radio(Broadcast):
    """Send each message to the DISH peers that have joined its group. Cannot receive."""

    socket_type = "RADIO"
    _connects_once = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._groups: dict[bytes, dict[Pipe, None]] = {}

    async def send(self, group: bytes, body: bytes) -> None:
        """Send ``body`` to all peers that have joined ``group``.

        Does not wait for room: if the send queue of a peer is full, the message is dropped for that peer, counted and
        reported. With ``xpub_nodrop``, waits for room instead. A send that need not wait is a checkpoint only once per
        turn: 256 messages, or 1 MiB of messages of 8 KiB and more, where each peer's copy counts. Raises TypeError if
        ``group`` or ``body`` is not bytes, ValueError if ``group`` has more than 255 bytes or contains a NUL, and
        ``trio.ClosedResourceError`` when the socket is closed.
        """
        members = self._groups.get(group) if type(group) is bytes else None
        if (
            members
            and self._send_turn > 0
            and type(body) is bytes
            and not self.options.xpub_nodrop
            and self._thread == get_ident()
        ):
            self._send_turn -= 1
            self._sent += 1
            bulky = len(body) >= BULKY
            if bulky:
                self._spend(len(body) * len(members))
            wire = None
            for pipe in members:
                lane = pipe.outbox
                if bulky:
                    lane.bulky = True
                if lane.stalled:
                    self._miss(pipe)
                    continue
                if pipe.wired:
                    if wire is None:
                        sizes = self._more_header_of(len(group)), self._header_of(len(body))
                        wire = b"".join((sizes[0], group, sizes[1], body))
                    lane.append(wire)
                else:
                    lane.append([group, body])
                if lane.asleep:
                    lane.wake()
                if len(lane) >= lane.limit:
                    self._full(pipe)
            return
        await self._send([_as_group(group), as_frame(body)])

    def send_nowait(self, group: bytes, body: bytes) -> None:
        """Send as `send` does. Raises ``trio.WouldBlock`` where `send` would wait: only with ``xpub_nodrop``."""
        self._check_open()
        self._send_at_once([_as_group(group), as_frame(body)])

    async def wait_joined(self, group: bytes | None, n: int = 1) -> None:
        """Wait until at least ``n`` peers have joined ``group``, or any group if ``group`` is None.

        An absent peer does not count, even if messages wait for it. Raises ``trio.ClosedResourceError`` when the socket
        is closed.
        """
        if group is None:
            await self._until_wanted(lambda: self._count(set().union(*self._groups.values())), n, "wait_joined")
        else:
            wanted = _as_group(group)
            await self._until_wanted(lambda: self._count(self._groups.get(wanted, ())), n, "wait_joined")

    def _recipients(self, message: Message) -> Mapping[Pipe, None]:
        return self._groups.get(first_frame(message), _NOBODY)

    def _arrived(self, pipe: Pipe) -> None:
        inbox = pipe.inbox
        inbox.asleep = True
        while inbox:
            request = inbox.popleft()
            if isinstance(request, Join):
                if pipe.usable:
                    self._groups.setdefault(bytes(request), {})[pipe] = None
                    self._more_wanted.unpark_all()
                self._note(pipe, bytes(request), wanted=True)
            elif isinstance(request, Leave):
                self._part(pipe, bytes(request))
                self._note(pipe, bytes(request), wanted=False)
            else:
                self._drop_unreceivable(pipe, 1)
        inbox.reopen()

    def _part(self, pipe: Pipe, group: bytes) -> None:
        members = self._groups.get(group)
        if members is not None:
            members.pop(pipe, None)
            if not members:
                del self._groups[group]

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        if pipe not in self._absent:
            self._ask_no_more(pipe, list(self._groups))

    def _pipe_removed(self, pipe: Pipe) -> None:
        super()._pipe_removed(pipe)
        self._ask_no_more(pipe, list(self._groups))

    def _asked_by(self, pipe: Pipe) -> Collection[bytes]:
        return [group for group, members in self._groups.items() if pipe in members]

    def _ask_no_more(self, pipe: Pipe, topics: Iterable[bytes], *, all_of_them: bool = True) -> None:
        for group in topics:
            self._part(pipe, group)

    def _wanted_of(self, messages: list[Message], asked: Collection[bytes]) -> list[Message]:
        return [message for message in messages if first_frame(message) in asked]


class Dish(Choosy, LabelledMany[bytes]):
    """Receive messages for the joined groups from all connected RADIO peers, in turn. Cannot send."""

    socket_type = "DISH"
    _connects_once = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._groups: dict[bytes, None] = {}

    def join(self, group: bytes) -> None:
        """Receive messages for ``group`` from now on. Does not wait until peers know of this.

        Raises ValueError if ``group`` is joined already, has more than 255 bytes, or contains a NUL.
        """
        self._check_open()
        group = _as_group(group)
        if group in self._groups:
            raise ValueError(f"this Dish has joined the group {shortened(group)} already")
        self._groups[group] = None
        self._ask(Join(group))

    def leave(self, group: bytes) -> None:
        """Undo `join`. Messages for ``group`` that wait to be received are discarded, and not counted as dropped.

        Raises ValueError if ``group`` is not joined.
        """
        self._check_open()
        group = _as_group(group)
        if group not in self._groups:
            raise ValueError(f"this Dish has not joined the group {shortened(group)}")
        del self._groups[group]
        self._ask(Leave(group))
        self._sift(lambda message: message[0] != group)

    def _deaf(self) -> str:
        return "" if self._groups else "the socket has joined no group; call join(group)"

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        groups = self._groups
        return [(message[0], message[1]) for message in batch if message[0] in groups]

    def _ask(self, request: Join | Leave) -> None:
        for pipe in self._pipes:
            if pipe.usable:
                pipe.outbox.put(request)

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        for group in self._groups:
            pipe.outbox.put(Join(group))

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        if not pipe.in_process:
            pipe.outbox.clear()  # the next connection gets all groups again
