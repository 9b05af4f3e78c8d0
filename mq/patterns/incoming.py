"""Whose message comes next? How to choose among the peers that something was received from."""

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
"""For so many peers that have something, a peer whose turn it is has one more message received in a row.

Each waits long for its turn anyway, and what is sent back to it goes out together, rather than one write for each.
"""

_MOST_MORE = 31
"""Messages more than one that a peer in a crowd has received in a row, at most."""

_READ = 16
"""Messages of a turn that a read without a wait takes as long as."""


class Receiver(Socket):
    """Receive one message from each peer that has some, in turn, or a few in a crowd of peers; wait while none has.

    Messages that came before a peer left are still received: before those that the same peer sends when it is back.

    A pattern that makes something else of its messages, such as a SERVER, which puts the sender's number before
    each, sets ``_translates`` and says how in ``_translate``, for many at once. A link that brings messages from a wire
    calls it for what it brings. Within the process, where the inbox is another socket's outbox, what was sent goes from
    there into ``pipe.ready``, half of a full inbox at a time; elsewhere the two are one.

    A pattern that must look at what comes, whether or not somebody receives, is ``_eager``: its ``_fetch`` is called at
    every arrival.

    While a single peer has something, or it is the turn of one in a crowd, the next few calls are granted a run: they
    take from its queue with no other look around, not even at their thread. Whatever changes the picture ends the run.
    """

    _translates = False
    _eager = False
    _in_order = True
    """What a connection has left is received before what the same peer sends on a later one."""
    _reads = True
    """Who receives may read the connection: what comes is of no use to anybody else."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        if self.options.conflate:
            self._translates = self._eager = True
            self._reads = False  # the newest is to be found, however old what is read next
        self._readable: deque[Pipe] = deque()
        self._succession = Succession()
        self._receivers = trio.lowlevel.ParkingLot()
        self._receive_turn = TURN
        self._straight = type(self)._pop is Receiver._pop and not self._eager
        """What a peer sends can be received as it is."""
        self._reading: Pipe | None = None
        """The pipe whose connection a receiving task reads."""

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
            if self._readable and self._receivers:  # more has come than receivers were woken for
                self._receivers.unpark()
        if self._only_peer is not None:
            self._only_peer.wanted = self._reads and not self._receivers
        return message

    async def _let_others_run(self) -> None:
        await checkpoint()
        self._receive_turn = TURN

    async def _until_receivable(self, doing: str) -> None:
        """Wait until a message is there, and take none."""
        self._check_open()
        while not self._readable:
            await self._wait(doing)
        self._receivers.unpark()  # one of them may have been passed over for us

    def _begin_receiving(self) -> Collection[object]:
        """Begin a turn; return what is not empty while a message can be received at once."""
        self._check_open()
        self._receive_turn = TURN
        return self._readable

    async def _wait(self, doing: str) -> None:
        """Wait until something may be there: read the only peer's connection here if that is possible."""
        pipe = self._only_peer
        if pipe is not None and pipe.read is not None and not self._receivers and not self._closing:
            await self._read(pipe.read, pipe)
            return
        if self._reading is not None:  # two tasks want what comes, so neither shall keep it to itself
            self._reading.watch()
        if pipe is not None:
            pipe.wanted = self._reads and not self._receivers
        await self._park(self._receivers, doing)
        self._receive_turn = TURN

    async def _read(self, read: Callable[[], Awaitable[bool]], pipe: Pipe) -> None:
        """Read the connection of ``pipe`` in this task. Without a wait, that is a part of a turn.

        When the turn is over, let others run instead: one of them may read it then, so look again.
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
        """Who waits may read the only peer's connection."""
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
        if length_hint(self._rest_of_run):  # mostly there is none, and a call to spare
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
            raise WrongThread(f"another thread has received from this {self._name}, which is this thread's") from None
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
        """Have what the inbox had no room for, when nothing is ready; raise ``trio.WouldBlock`` if that is nothing."""
        if self._only_peer is not None:  # who does not wait does not read
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
            # The message that lets a stopped producer go on must not be part of a run, and neither must the last.
            waiting = waiting - low if waiting > low else min(waiting, low)
        count = min(waiting - 1, self._receive_turn, most)
        if count > 0:
            self._rest_of_run = repeat((), count)
            self._run = starmap(pipe.ready.popleft, self._rest_of_run)
            self._received += count
            self._receive_turn -= count

    @property
    def _may_receive_on(self) -> bool:
        """The turn is not over: the next receive does not let others run first."""
        return self._receive_turn > 0 or length_hint(self._rest_of_run) > 0

    def _end_run(self) -> None:
        left = length_hint(self._rest_of_run)
        self._received -= left
        self._receive_turn += left
        self._run, self._rest_of_run = NO_RUN

    def _empty(self, pipe: Pipe) -> None:
        """Have something ready again in ``pipe``, the first of the ring, or leave it out until something comes."""
        if pipe.ready is not pipe.inbox:
            self._fetch(pipe)
            if pipe.ready:
                return
        self._readable.popleft()
        pipe.readable = False
        pipe.inbox.bulky = False
        pipe.inbox.asleep = True
        if pipe.inbox:  # a producer in another thread was just there
            self._arrived(pipe)
        elif pipe.retired or pipe not in self._pipes:
            self._let_followers_come(pipe)

    def _arrived(self, pipe: Pipe) -> None:
        if self._closing or (pipe.readable and not self._eager):
            return
        inbox = pipe.inbox
        if not inbox:
            # A producer in another thread woke us for what has been received since: we sleep on.
            inbox.asleep = True
            if not inbox:
                return
        if pipe.ready is not inbox:
            self._fetch(pipe)
        self._rejoin(pipe)

    def _rejoin(self, pipe: Pipe) -> None:
        """Take ``pipe`` into the ring, if it has something, and let receivers go on."""
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
        """Let receivers go on: ``count`` messages have come from ``pipe``."""
        if self._reading is not None and self._reading is not pipe:
            self._reading.watch()
        if self._receivers:
            self._receivers.unpark(count=count)

    # -- making something else of it -----------------------------------------------------------------------

    def _make_ready(self, pipe: Pipe) -> None:
        if not self._translates:
            return
        if self._eager or pipe.endpoint.startswith("inproc://"):
            pipe.ready = deque()
        else:
            pipe.translate = partial(self._translate, pipe)

    def _fetch(self, pipe: Pipe) -> None:
        """Have something ready, if something can be."""
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
                continue  # a producer in another thread was just there
            inbox.asleep = False
            count = min(waiting, max(1, inbox.capacity // 2))
            if count == waiting and not pipe.in_process:
                batch = list(inbox)
                inbox.clear()
            else:  # in another thread, somebody may be adding to it
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
        """Take all that is in the inbox, which sleeps then."""
        inbox = pipe.inbox
        batch: list[Message] = []
        inbox.asleep = True
        while inbox:
            batch.append(inbox.popleft())
            inbox.asleep = True  # a producer in another thread may have woken us for what is taken here
        inbox.reopen()
        return batch

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        """Return what is to be received for ``batch``, which came from ``pipe``."""
        return batch

    def _single_frames(self, pipe: Pipe, batch: list[Message]) -> list[Message]:
        """Drop, and count, the messages of several frames."""
        single = [message for message in batch if type(message) is not list]
        advice = "have the peer send all in one frame"
        self._drop_mistaken(pipe, len(batch) - len(single), one_frame_only(self.socket_type), advice)
        return single

    def _sift(self, wanted: Callable[[Any], bool]) -> None:
        """Keep only what is ``wanted`` of what is ready."""
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

    # -- leaving -------------------------------------------------------------------------------------------

    def _gone(self) -> set[Pipe]:
        there = [*self._readable, *(pipe for pipe in self._succession.behind if pipe.unreceived)]
        return {pipe for pipe in there if pipe not in self._pipes}

    def _begin_in_order(self, pipe: Pipe) -> None:
        """Have what ``pipe`` brings wait for what earlier connections of its peer have left, or are about to leave."""
        for other in self._readable:
            # One whose messages have no room is not read to its end, which may have come.
            if other.origin == pipe.origin and not other.connecting and other.has_ended():
                self._succession.ended(other)
        self._succession.began(pipe)

    def _take_the_place_of(self, old: Pipe, pipe: Pipe) -> None:
        """Have what ``pipe`` brings wait for what ``old``, which is not read any more, has left."""
        if old.unreceived:
            self._succession.ended(old)
            self._succession.began(pipe)

    def _let_followers_come(self, pipe: Pipe) -> None:
        """Let connections come that wait for ``pipe``, of which nothing is left."""
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
        pipe.inbox = left  # what was translated stays ours

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
