"""Whose message comes next? Each peer that has sent messages, in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from itertools import repeat, starmap
from operator import length_hint
from threading import get_ident
from typing import Any, Unpack

import trio
from trio.lowlevel import checkpoint

from ..errors import WrongThread
from ..message import Message, size_of
from ..options import OptionArguments
from ..peers import NO_RUN
from ..pipe import BULKY, UNIT, Lane, Pipe
from ..reasons import REPLACED, Reason, one_frame_only
from ..socket import Socket
from .succession import Succession
from .turn import TURN

_CROWD = 16
"""For each 16 peers with waiting messages, one more message is received in a row from the same peer.

With many peers, each waits long for its turn anyway. Replies to messages in a row then share one write to the kernel.
"""

_MOST_MORE = 31
"""The largest number of messages, after the first, that are received in a row from one peer of a crowd."""

_READ = 16
"""A read that does not wait counts as this many messages of a turn, because it takes as long."""


class Receiver(Socket):
    """Receive one message from each peer with waiting messages in turn (a few if there are many such peers).

    Messages of a connection that has ended can still be received. They come before the messages that the same peer
    sends on a later connection.

    A pattern that changes its messages sets ``_translates`` and overrides ``_translate``, which takes a batch. Example:
    a SERVER adds the routing id of the sender. For a peer outside of the process, the link calls ``_translate`` before
    it fills the inbox. Within the process, the inbox is the outbox of the peer's socket. ``_fetch`` then translates the
    messages and moves them to ``pipe.ready``, at most half of a full inbox at a time. Otherwise ``pipe.ready`` is the
    inbox.

    A pattern that must process messages even if no task receives sets ``_eager``. Then every arrival calls ``_fetch``.

    If only one peer has waiting messages, or a peer of a crowd has its turn, ``_pop`` grants a run: the next few calls
    take messages from the queue of that peer without any check, not even of their thread. Every change of the
    conditions ends the run.
    """

    _translates = False
    _eager = False
    _in_order = True
    """Messages of an ended connection are received before those that the same peer sends on a later connection."""
    _reads = True
    """A receiving task may read the connection itself, because no other task needs the messages."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        if self.options.conflate:
            self._translates = self._eager = True
            self._reads = False  # the newest message must be found, even behind older ones that are read first
        self._readable: deque[Pipe] = deque()
        self._succession = Succession()
        self._receivers = trio.lowlevel.ParkingLot()
        self._receive_turn = TURN
        self._straight = type(self)._pop is Receiver._pop and not self._eager
        """Messages can be received unchanged, as the peer sent them."""
        self._reading: Pipe | None = None
        """The pipe whose connection a receiving task reads now."""

    async def _next(self, doing: str) -> Any:
        """Take the next message; wait while there is none."""
        if self._thread != get_ident():
            self._complain()
        if self._receive_turn <= 0:
            await self._let_others_run()
        if self._readable:
            message = self._pop()
        else:
            if self._straight:
                pipe = self._only_peer
                if pipe is not None and pipe.read is not None and not self._closing and not self._receivers:
                    message = pipe.take()
                    if message is not None:
                        self._received += 1
                        return message
            while not self._readable:
                await self._wait(doing)
            message = self._pop()
            if self._readable and self._receivers:  # more messages have arrived than tasks were woken for
                self._receivers.unpark()
        if self._only_peer is not None:
            self._only_peer.wanted = self._reads and not self._receivers
        return message

    async def _let_others_run(self) -> None:
        await checkpoint()
        self._receive_turn = TURN

    async def _until_receivable(self, doing: str) -> None:
        """Wait until a message can be received, but take none."""
        self._check_open()
        while not self._readable:
            await self._wait(doing)
        self._receivers.unpark()  # this task may have been woken instead of a task that receives

    def _begin_receiving(self) -> Collection[object]:
        """Begin a turn. Returns a collection that is not empty while a message can be received at once."""
        self._check_open()
        self._receive_turn = TURN
        return self._readable

    async def _wait(self, doing: str) -> None:
        """Wait until a message may have arrived. Reads the connection of the only peer here, if possible."""
        pipe = self._only_peer
        if pipe is not None and pipe.read is not None and not self._receivers and not self._closing:
            await self._read(pipe.read, pipe)
            return
        if self._reading is not None:  # two tasks receive: the link reads for both
            self._reading.watch()
        if pipe is not None:
            pipe.wanted = self._reads and not self._receivers
        await self._park(self._receivers, doing)
        self._receive_turn = TURN

    async def _read(self, read: Callable[[], Awaitable[bool]], pipe: Pipe) -> None:
        """Read the connection of ``pipe`` in this task. A read that does not wait uses a part of the turn.

        If the turn is over, let other tasks run instead of reading, and return: one of them may have read the
        connection.
        """
        if not self._straight and pipe.hear():
            return
        if self._receive_turn <= 0:
            await self._let_others_run()
            return
        self._reading = pipe
        before = pipe.bytes_in
        try:
            waited = await read()
        finally:
            self._reading = None
        self._receive_turn = TURN if waited else self._receive_turn - max(_READ, (pipe.bytes_in - before) // BULKY)

    def _offered(self) -> None:
        """Wake a waiting task, which may read the connection of the only peer now."""
        self._receivers.unpark()

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        pipe.offer = self._offered
        if self._in_order and pipe.connections == 1:
            self._begin_in_order(pipe)

    def _pop(self) -> Any:
        ring = self._readable
        if not ring:
            self._make_the_most()
        if length_hint(self._rest_of_run):  # usually false, which saves the call
            self._end_run()
        self._received += 1
        self._receive_turn -= 1
        pipe = ring[0]
        inbox = pipe.inbox
        bulky = inbox.bulky
        try:
            message = pipe.ready.popleft()
        except IndexError:
            self._received -= 1
            self._empty(pipe)
            raise WrongThread(
                f"another thread has received from this {self._name}: only the thread that opened it may use it"
            ) from None
        if inbox.stalled and len(inbox) <= inbox.low:
            inbox.reopen()
        if bulky:
            self._receive_turn -= size_of(message) // UNIT
        if not pipe.ready:
            self._empty(pipe)
        if len(ring) == 1:
            self._grant_run(ring[0], TURN)
        elif pipe.readable:
            ring.rotate(-1)
            if len(ring) >= _CROWD:
                self._grant_run(pipe, min(len(ring) // _CROWD, _MOST_MORE))
        return message

    def _make_the_most(self) -> None:
        """Have the link read messages that had no room in the inbox. Raises ``trio.WouldBlock`` if there are none."""
        if self._only_peer is not None:  # a task that does not wait does not read the connection either
            self._only_peer.wanted = False
            self._only_peer.watch()
        if not self._readable:
            raise trio.WouldBlock

    def _grant_run(self, pipe: Pipe, most: int) -> None:
        if pipe.inbox.bulky:
            return
        waiting = len(pipe.ready)
        low = pipe.inbox.low
        if pipe.ready is pipe.inbox:
            # The message that restarts a stopped producer must not be part of a run, and neither must the last one.
            waiting = waiting - low if waiting > low else min(waiting, low)
        count = min(waiting - 1, self._receive_turn, most)
        if count > 0:
            self._rest_of_run = repeat((), count)
            self._run = starmap(pipe.ready.popleft, self._rest_of_run)
            self._received += count
            self._receive_turn -= count

    @property
    def _may_receive_on(self) -> bool:
        """Whether the turn goes on: the next receive does not let other tasks run first."""
        return self._receive_turn > 0 or length_hint(self._rest_of_run) > 0

    def _end_run(self) -> None:
        left = length_hint(self._rest_of_run)
        self._received -= left
        self._receive_turn += left
        self._run, self._rest_of_run = NO_RUN

    def _empty(self, pipe: Pipe) -> None:
        """Refill the ready messages of ``pipe``, the first in the ring. If there are none, remove it from the ring."""
        if pipe.ready is not pipe.inbox:
            self._fetch(pipe)
            if pipe.ready:
                return
        self._readable.popleft()
        pipe.readable = False
        pipe.inbox.bulky = False
        pipe.inbox.asleep = True
        if pipe.inbox:  # a producer in another thread has just added a message
            self._arrived(pipe)
        elif pipe.retired or pipe not in self._pipes:
            self._let_followers_come(pipe)

    def _arrived(self, pipe: Pipe) -> None:
        if self._closing or (pipe.readable and not self._eager):
            return
        inbox = pipe.inbox
        if not inbox:
            # A producer in another thread reported messages that have been received since then.
            inbox.asleep = True
            if not inbox:
                return
        if pipe.ready is not inbox:
            self._fetch(pipe)
        self._rejoin(pipe)

    def _rejoin(self, pipe: Pipe) -> None:
        """Add ``pipe`` to the ring if it has ready messages, and wake waiting tasks."""
        if not pipe.ready or pipe.readable or pipe in self._succession.behind:
            return
        if length_hint(self._rest_of_run):
            self._end_run()
        pipe.readable = True
        if not self._eager:
            pipe.inbox.asleep = False
        self._readable.append(pipe)
        self._rouse(pipe, len(pipe.ready))

    def _rouse(self, pipe: Pipe, count: int) -> None:
        """Wake waiting tasks for ``count`` messages that have arrived from ``pipe``."""
        if self._reading is not None and self._reading is not pipe:
            self._reading.watch()
        if self._receivers:
            self._receivers.unpark(count=count)

    # -- translating messages ------------------------------------------------------------------------------

    def _make_ready(self, pipe: Pipe) -> None:
        if not self._translates:
            return
        if self._eager or pipe.endpoint.startswith("inproc://"):
            pipe.ready = deque()
        else:
            pipe.translate = partial(self._translate, pipe)

    def _fetch(self, pipe: Pipe) -> None:
        """Move messages from the inbox to ``pipe.ready``, if there are any."""
        if self.options.conflate:
            self._fetch_newest(pipe)
            return
        inbox, ready = pipe.inbox, pipe.ready
        while not ready:
            waiting = len(inbox)
            if not waiting:
                inbox.lend(0)
                inbox.asleep = True
                inbox.reopen()
                if not inbox:
                    return
                continue  # a producer in another thread has just added a message
            inbox.asleep = False
            count = min(waiting, max(1, inbox.capacity // 2))
            if count == waiting and not pipe.in_process:
                batch = list(inbox)
                inbox.clear()
            else:  # a producer in another thread may be adding messages
                batch = [inbox.popleft() for _ in range(count)]
            ready.extend(self._translate(pipe, batch))
            inbox.lend(len(ready))
            if waiting <= inbox.capacity // 2:
                inbox.reopen()

    def _fetch_newest(self, pipe: Pipe) -> None:
        batch = self._translate(pipe, self._drain(pipe))
        if batch:
            ready = pipe.ready
            self._drop(pipe, len(ready) + len(batch) - 1, REPLACED)
            ready.clear()
            ready.append(batch[-1])

    def _drain(self, pipe: Pipe) -> list[Message]:
        """Take all messages from the inbox, and mark it as asleep."""
        inbox = pipe.inbox
        batch: list[Message] = []
        inbox.asleep = True
        while inbox:
            batch.append(inbox.popleft())
            inbox.asleep = True  # a producer in another thread may have cleared it for a message taken here
        inbox.reopen()
        return batch

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        """Return what the program receives for the messages ``batch`` from ``pipe``."""
        return batch

    def _single_frames(self, pipe: Pipe, batch: list[Message]) -> list[Message]:
        """Return the messages of one frame. Messages of several frames are dropped and counted."""
        single = [message for message in batch if type(message) is not list]
        advice = "the peer must send each message in one frame"
        self._drop_mistaken(pipe, len(batch) - len(single), one_frame_only(self.socket_type), advice)
        return single

    def _sift(self, wanted: Callable[[Any], bool]) -> None:
        """Discard the ready messages that are not ``wanted``. They are not counted as dropped."""
        self._end_run()
        for pipe in [*self._readable, *self._succession.behind]:
            kept = list(filter(wanted, pipe.ready))
            pipe.ready.clear()
            pipe.ready.extend(kept)
            if len(pipe.inbox) <= pipe.inbox.low:
                pipe.inbox.reopen()
            if not kept and pipe.readable:
                self._readable.remove(pipe)
                self._readable.appendleft(pipe)
                self._empty(pipe)

    # -- ended connections ---------------------------------------------------------------------------------

    def _gone(self) -> set[Pipe]:
        there = [*self._readable, *(pipe for pipe in self._succession.behind if pipe.unreceived)]
        return {pipe for pipe in there if pipe not in self._pipes}

    def _begin_in_order(self, pipe: Pipe) -> None:
        """Receive messages of ``pipe`` only after those of earlier connections of the same peer."""
        for other in self._readable:
            # A connection whose inbox is full is not read to its end. The peer may have ended it already.
            if other.origin == pipe.origin and not other.connecting and other.has_ended():
                self._succession.ended(other)
        self._succession.began(pipe)

    def _take_the_place_of(self, old: Pipe, pipe: Pipe) -> None:
        """Receive messages of ``pipe`` only after those of ``old``, whose connection is not read any more."""
        if old.unreceived:
            self._succession.ended(old)
            self._succession.began(pipe)

    def _let_followers_come(self, pipe: Pipe) -> None:
        """Make the connections readable that waited for the messages of ``pipe``, which are all received."""
        for follower in list(self._succession.over(pipe)):
            self._rejoin(follower)
            if follower.inbox and not follower.readable:
                self._arrived(follower)

    def _forget(self, pipe: Pipe, reason: Reason, detail: str = "") -> None:
        super()._forget(pipe, reason, detail)
        if self._closing or not self._in_order:
            return
        if pipe.unreceived and not pipe.readable:
            self._arrived(pipe)
        if pipe.unreceived:
            self._succession.ended(pipe)
        else:
            self._let_followers_come(pipe)

    def _abandon(self, pipe: Pipe) -> None:
        super()._abandon(pipe)
        self._end_run()
        pipe.inbox.lend(0)
        left = Lane(0)
        if pipe.ready is pipe.inbox:
            pipe.ready = left
            if pipe.readable:
                pipe.readable = False
                self._readable.remove(pipe)
        pipe.inbox = left  # translated messages can still be received

    def _evict(self) -> None:
        super()._evict()
        self._end_run()

    def _stop(self) -> None:
        super()._stop()
        self._end_run()
        self._readable.clear()
        self._succession.clear()
        self._receivers.unpark_all()
        if self._reading is not None:
            self._reading.watch()
