"""When are subscribers looked up? At once for the first message, and once per tick for later messages.

A tick is one pass of Trio's scheduler, in which each runnable task runs once. The first message after an idle tick goes
to the queues at once. Later messages of the same tick wait, and are then handed out together: each message is encoded
once, and each peer's queue is extended and written once. If a peer is in this process, no message waits: the message is
in the queue of the peer when `send` returns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from threading import get_ident
from typing import Unpack

import trio

from ..message import ONLY_BYTES, Buffer, Message, as_frame, as_message, first_frame, size_of
from ..monitor import Statistics
from ..options import OptionArguments
from ..pipe import BULKY, Pipe
from .absence import Absence
from .broadcast import Broadcast
from .subscriptions import Recipients, Subscriptions

_MOST_COPIED = 4 * 1024 * 1024
"""The approximate number of bytes that a run copies for all peers together before the turn is checked."""

_MOST = 1000
"""About this many messages wait to be handed out, or ``send_hwm`` if that is less."""


class Topical(Broadcast, trio.abc.SendChannel[bytes]):
    """Send each message to the peers that subscribe to a prefix of its first frame."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        own = self.options
        self._special = bool(
            own.xpub_nodrop or own.invert_matching or own.conflate or own.last_values or own.xpub_manual_last_value
        )
        """Whether options are set that the hot path does not support."""
        self._subscriptions = Subscriptions(self._hand_out)
        self._may_wait = True
        """Whether messages may wait until the end of the tick: no peer is in this process."""
        self._waiting: list[Message] | None = None
        """The messages of this tick that wait; None after an idle tick, and when messages may not wait."""
        self._bulky_waits = False
        """Whether a large message is among the waiting ones."""
        self._most_waiting = min(own.send_hwm or _MOST, _MOST)
        self._something_waits = trio.lowlevel.ParkingLot()
        self._hand_out_scope: trio.CancelScope | None = None
        """The scope of the task that hands out messages; None until it starts."""

    async def send(self, message: bytes) -> None:
        """Send a message of one frame to all peers that subscribe to a prefix of it.

        Does not wait for room: if the send queue of a peer is full, the message is dropped for that peer, counted and
        reported. With ``xpub_nodrop``, waits for room instead. A send that need not wait is a checkpoint only once per
        turn: 256 messages, or 1 MiB of messages of 8 KiB and more, where each peer's copy counts. Raises TypeError if
        ``message`` is not bytes, and ``trio.ClosedResourceError`` when the socket is closed.
        """
        if not self._send_run or type(message) is not bytes:
            await self._send(message if type(message) is bytes else as_frame(message))
            return
        waiting = self._waiting
        if waiting is not None:
            self._send_run -= 1
            waiting.append(message)
            if len(message) >= BULKY:
                self._bulky_waits = True
                self._count_copies(len(message))
            return
        if self._thread != get_ident():
            self._complain()
        self._send_run -= 1
        bulky = len(message) >= BULKY
        if bulky:
            self._count_copies(len(message))
        wire = None
        known = self._subscriptions
        for pipe in known.remembered[message[known.beginning]]:
            lane = pipe.outbox
            if lane.stalled:
                self._miss(pipe)
                continue
            if bulky:
                lane.bulky = True
            if pipe.wired:
                if wire is None:
                    wire = self._header_of(len(message)) + message
                lane.append(wire)
            else:
                lane.append(message)
            if lane.asleep:
                lane.wake()
            if len(lane) >= lane.limit:
                self._full(pipe)
        if self._may_wait:
            self._let_wait()

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send a message of one or more frames to all peers that subscribe to a prefix of its first frame.

        Otherwise as `send`.
        """
        if (
            not self._send_run
            or type(frames) is not list
            or set(map(type, frames)) != ONLY_BYTES
            or self._thread != get_ident()
        ):
            await self._send(as_message(frames), "send_multipart")
            return
        self._send_run -= 1
        message = as_message(frames)
        self._count_copies(size_of(message))
        self._give_or_let_wait(message)

    def send_nowait(self, message: bytes) -> None:
        """Send as `send` does. Raises ``trio.WouldBlock`` where `send` would wait: only with ``xpub_nodrop``."""
        self._check_open()
        self._send_at_once(as_frame(message))

    def send_multipart_nowait(self, frames: Iterable[Buffer]) -> None:
        """Send as `send_multipart` does. Raises ``trio.WouldBlock`` where it would wait: only with ``xpub_nodrop``."""
        self._check_open()
        self._send_at_once(as_message(frames))

    async def _send(self, message: Message, doing: str = "send") -> None:
        self._end_send_run()
        await super()._send(message, doing)
        if not self._special and self._send_turn > 0:  # the rest of the turn is a run, which needs no checks
            # Many peers make a run of small messages long, too. Assume that the next messages are as large as this one.
            copies = max(1, size_of(message) * self._peer_count)
            run = min(self._send_turn, self._most_waiting, max(1, _MOST_COPIED // copies))
            self._sent += run - self._send_run  # another task may have been granted a run meanwhile
            self._send_run = run
            self._send_turn -= run

    def _give(self, message: Message) -> None:
        if self._special:
            super()._give(message)
        else:
            self._sent += 1
            self._send_turn -= 1
            self._count_copies(size_of(message))
            self._give_or_let_wait(message)

    # -- handing out together ------------------------------------------------------------------------------

    def _give_or_let_wait(self, message: Message) -> None:
        """Deliver ``message``, or let it wait for the end of the tick if it is not the first message of the tick."""
        if self._waiting is None:
            self._deliver(message, self._subscriptions.recipients(first_frame(message)))
            if self._may_wait:
                self._let_wait()
            return
        self._waiting.append(message)
        self._bulky_waits = self._bulky_waits or size_of(message) >= BULKY
        if len(self._waiting) >= self._most_waiting:
            self._hand_out()

    def _let_wait(self) -> None:
        """Let the next messages wait until the end of the tick."""
        self._waiting = []
        self._something_waits.unpark()
        if self._hand_out_scope is None:
            self._hand_out_scope = trio.CancelScope()
            self._nursery.start_soon(self._hand_out_each_tick, self._hand_out_scope)

    @trio.lowlevel.enable_ki_protection
    async def _hand_out_each_tick(self, scope: trio.CancelScope) -> None:
        idle = False
        with scope:
            while True:
                if self._waiting:
                    self._hand_out()
                    idle = False
                elif idle:  # no message in a whole tick
                    self._waiting = None
                    await self._something_waits.park()
                    idle = False
                else:
                    idle = True
                await trio.lowlevel.checkpoint()

    def _hand_out(self) -> None:
        """Queue the waiting messages for their recipients, and have them written."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        changed: set[Pipe] = set()
        for recipients, messages in self._by_recipients(waiting):
            self._extend(recipients, messages)
            changed |= recipients
        self._bulky_waits = False
        for pipe in changed:
            if pipe.outbox and pipe.outbox.asleep:
                pipe.write()

    def _by_recipients(self, messages: list[Message]) -> Iterator[tuple[Recipients, list[Message]]]:
        """Yield ``messages`` in order, in groups of successive messages for the same recipients."""
        recipients = self._subscriptions.recipients_of(messages)
        if recipients.count(recipients[0]) == len(recipients):
            yield recipients[0], messages
            return
        for same, pairs in groupby(zip(recipients, messages, strict=False), itemgetter(0)):
            yield same, [message for _, message in pairs]

    def _extend(self, recipients: Recipients, messages: list[Message]) -> None:
        """Queue ``messages`` for each of ``recipients``, and count those without room as missed."""
        wires: list[Message] = []
        count = len(messages)
        bulky = self._bulky_waits
        for pipe in recipients:
            lane = pipe.outbox
            room = 0 if lane.stalled else max(0, lane.limit - len(lane))
            fits = min(room, count)
            if fits < count:
                self._miss(pipe, count - fits)
            if pipe.wired and len(wires) < fits:
                wires += self._wires_of(messages[len(wires) : fits])
            some = wires if pipe.wired else messages
            lane.extend(some if fits == len(some) else some[:fits])
            if bulky:
                lane.bulky = True
            if fits == room:
                self._full(pipe)

    # -- calls before which waiting messages are handed out ------------------------------------------------

    def _wait_no_more(self) -> None:
        self._hand_out()
        self._waiting = None

    def _pipe_connected(self, pipe: Pipe) -> None:
        self._wait_no_more()
        self._may_wait = self._may_wait and not pipe.in_process
        super()._pipe_connected(pipe)

    def _pipe_lost(self, pipe: Pipe) -> None:
        self._hand_out()
        self._may_wait = not any(other.in_process for other in self._pipes if other.connected)
        super()._pipe_lost(pipe)

    def _release(self, pipe: Pipe, absence: Absence) -> None:
        self._wait_no_more()
        super()._release(pipe, absence)
        self._may_wait = self._may_wait and not pipe.in_process

    def _pipe_removed(self, pipe: Pipe) -> None:
        self._hand_out()
        super()._pipe_removed(pipe)

    async def _flush(self, pipes: Collection[Pipe]) -> None:
        self._hand_out()
        await super()._flush(pipes)

    def _stop(self) -> None:
        self._wait_no_more()
        if self._hand_out_scope is not None:
            self._hand_out_scope.cancel()
        super()._stop()

    def _evict(self) -> None:
        super()._evict()
        self._waiting = None

    def statistics(self) -> Statistics:
        """Return the current counters and queue lengths."""
        if self._thread == get_ident():  # another thread may read the counters, but must change nothing
            self._hand_out()
        return super().statistics()
