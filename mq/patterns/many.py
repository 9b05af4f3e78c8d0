"""How are many messages sent or received by one call? In lists, by the types whose messages need no answer in between.

A list pays once for what a message pays for otherwise: a call, a look at the peers, a look at the turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from operator import length_hint
from threading import get_ident
from typing import Any, Generic, Self, TypeVar

from trio.lowlevel import checkpoint

from ..errors import MultipartMessage
from ..message import ONLY_BYTES, Buffer, Message, as_frame, as_message, first_frame, frames_of, shortened, size_of
from ..pipe import BULKY, UNIT, Pipe
from .fair_queue import FairQueue, FairQueueMultipart
from .incoming import Receiver
from .labelled import Label, Labelled
from .named import FromNamed, after
from .outgoing import RoundRobin, RoundRobinMultipart
from .topical import Topical
from .turn import TURN, TURN_SIZE, SendsInTurns

MANY = 1024
"""Messages that are sent together at most, and received together unless the caller says otherwise."""

LIGHTER = 4
"""So many messages of a list take as long as one by itself, and count as much for a turn."""

_WORTH_A_WRITE = 64
"""Messages from which on a list is written at once, rather than together with what may follow."""

_FIRST_STEP = 1
"""A quarter of how many messages are taken from an iterator before their bytes are counted, and then more and more."""

_SAMPLE = 16
"""One in so many messages of a list is weighed. Nothing waits for the others to be made, and a queue takes them all."""

_TELLING = {type(iter(empty)) for empty in (list[Any](), (), deque[Any]())}
"""Iterators whose `length_hint` is exact."""

Batch = TypeVar("Batch")


# -- sending -----------------------------------------------------------------------------------------------


class SendsMany(SendsInTurns):
    """Send many messages by one call. Subclasses say how much room there is, and queue what fits."""

    async def send_many(self, messages: Iterable[bytes]) -> None:
        """Send ``messages``, of one frame each, in order: as a loop of `send` would, in less time.

        Takes exactly as many from ``messages`` as it sends. Pass an iterator: after a cancellation, the messages left
        in it are those that were not sent. An iterator that does not tell its length may fill a queue by one message
        more than ``send_hwm``. A checkpoint follows 256 to 1279 messages. Raises TypeError for an object that is not
        bytes, once the messages before it are sent, and ``trio.ClosedResourceError``.
        """
        await self._send_all_of(messages, as_frame, "send_many")

    async def _send_all_of(self, messages: Iterable[Any], checked: Callable[[Any], Message], doing: str) -> None:
        if isinstance(messages, (bytes, bytearray, memoryview, str)):
            raise TypeError(f"messages come as a list or an iterator, got {shortened(messages)}: use send() for one")
        self._check_open()
        source = iter(messages)
        more = True
        while more:
            if self._send_turn <= 0:
                await checkpoint()
                self._check_open()
                self._send_turn = TURN
            most = await self._until_room(source, doing)
            more = most > 0 and self._pass_on(source, most, checked)

    def _pass_on(self, source: Iterator[Any], most: int, checked: Callable[[Any], Message]) -> bool:
        """Send up to ``most`` messages; return whether there may be more."""
        messages: list[Message] = []
        size = 0
        more = True
        there = type(source) in _TELLING
        step = _FIRST_STEP
        try:
            while more and len(messages) < most and size < TURN_SIZE:
                # What is in a list is there already; what an iterator makes may be larger, and take time.
                step = most - len(messages) if messages and there else min(4 * step, most - len(messages))
                if size:  # as far as the turn goes, if they are as large as those before
                    step = min(step, (TURN_SIZE - size) * len(messages) // size + 1)
                some: list[Message] = []
                try:
                    _take(source, step, checked, some)
                finally:
                    size += _weight(some, step=_SAMPLE if there and messages else 1)
                    messages += some
                more = len(some) == step
        finally:  # what was taken from an iterator that fails is sent
            if messages:
                self._end_send_run()
                self._send_turn -= -(-len(messages) // LIGHTER)
                self._give_many(messages, size)
                self._spend(size * self._copies)
        return more

    @property
    def _copies(self) -> int:
        """How many peers each message is sent to, about."""
        return 1

    async def _until_room(self, source: Iterator[Any], doing: str) -> int:
        """Wait until messages can be sent; return how many, or 0 when ``source`` is used up."""
        raise NotImplementedError

    def _give_many(self, messages: list[Message], size: int) -> None:
        """Queue ``messages``, which have ``size`` bytes, and count them as sent."""
        raise NotImplementedError


def _take(source: Iterator[Any], most: int, checked: Callable[[Any], Message], messages: list[Message]) -> None:
    """Append up to ``most`` messages to ``messages``: those before a wrong one, when it raises."""
    if checked is not as_frame:
        messages.extend(map(checked, islice(source, most)))
        return
    try:
        messages.extend(islice(source, most))
    finally:
        if not set(map(type, messages)) <= ONLY_BYTES:
            unchecked = messages.copy()
            messages.clear()
            messages.extend(map(as_frame, unchecked))


def _weight(messages: list[Message], step: int) -> int:
    """Return the bytes of ``messages``, as one in ``step`` of them tells."""
    weighed = messages[::step]
    several = list in set(map(type, weighed))
    return step * sum(map(size_of if several else len, weighed))


def _used_up(source: Iterator[Any]) -> bool:
    return type(source) in _TELLING and not length_hint(source)


class RoundRobinMany(RoundRobin, SendsMany):
    """Deal many messages to the connected peers with room, one to each in turn."""

    async def _until_room(self, source: Iterator[Any], doing: str) -> int:
        ring = self._ring
        while not ring:
            if _used_up(source):
                return 0
            await self._park(self._senders, doing)
            self._send_turn = TURN
        if self.options.conflate:
            return MANY
        room = max(1, min(pipe.outbox.limit - len(pipe.outbox) for pipe in ring)) * len(ring)
        if room > MANY:
            return MANY
        # Whether there is more is known only by taking it, and what is taken must be sent.
        return room if type(source) in _TELLING else room + 1

    def _give_many(self, messages: list[Message], size: int) -> None:
        ring = self._ring
        if self.options.conflate:
            for message in messages:
                self._put(message)
            return
        pipes = list(ring)
        ring.rotate(-len(messages))
        self._sent += len(messages)
        bulky = size >= BULKY * len(messages)
        for place, pipe in enumerate(pipes):
            lane = pipe.outbox
            lane.extend(messages[place :: len(pipes)] if place or len(pipes) > 1 else messages)
            lane.bulky = lane.bulky or bulky
            if lane.asleep and lane:
                if pipe.in_process or len(messages) < _WORTH_A_WRITE * len(pipes):
                    lane.wake()
                else:
                    pipe.write()
            if len(lane) >= lane.limit:
                self._full(pipe)
        if ring:  # there may be room for others who wait
            self._senders.unpark()


class RoundRobinManyMultipart(RoundRobinMultipart, RoundRobinMany):
    """Deal many messages of any number of frames to the connected peers with room, one to each in turn."""

    async def send_many_multipart(self, messages: Iterable[Iterable[Buffer]]) -> None:
        """Send ``messages``, each an iterable of one or more frames. Otherwise as `send_many`."""
        await self._send_all_of(messages, as_message, "send_many_multipart")


class TopicalMany(Topical, SendsMany):
    """Send many messages to the peers that have subscribed to what each of them begins with."""

    async def send_many_multipart(self, messages: Iterable[Iterable[Buffer]]) -> None:
        """Send ``messages``, each an iterable of one or more frames. Otherwise as `send_many`."""
        await self._send_all_of(messages, as_message, "send_many_multipart")

    @property
    def _copies(self) -> int:
        return self._peer_count

    async def _until_room(self, source: Iterator[Any], doing: str) -> int:
        if not self._special:
            return self._most_waiting
        # Whom the next message is for is known only by taking it.
        while self.options.xpub_nodrop and not _used_up(source) and await self._wait_for_room(self._pipes, doing):
            pass
        return 1

    def _give_many(self, messages: list[Message], size: int) -> None:
        if self._special:
            for message in messages:
                self._give(message)
            return
        self._sent += len(messages)
        self._hand_out()
        self._bulky_waits = size >= BULKY * len(messages)
        if self._waiting is None and self._may_wait:
            self._let_wait()
        if self._waiting is not None:
            self._waiting += messages
            self._hand_out()
            return
        for message in messages:
            self._deliver(message, self._subscriptions.recipients(first_frame(message)))


# -- receiving ---------------------------------------------------------------------------------------------


class Batches(Generic[Batch]):
    """Lists of messages, one after the other, as they come."""

    def __init__(self, receive: Callable[[], Awaitable[Batch]]) -> None:
        self._receive = receive

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        return await self._receive()


class TakesMany(Receiver):
    """Take what there is to receive, up to a number, in fair shares from all peers that have some."""

    async def _next_many(self, most: int, doing: str, *, several: bool) -> list[Any]:
        """Wait until there is something, and take it; messages of several frames only if ``several`` are wanted."""
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise ValueError(f"{doing}() receives at least 1 message at most, got most={most!r}")
        if self._thread != get_ident():
            self._complain()
        if self._receive_turn <= 0:
            await self._let_others_run()
        while not self._readable:
            await self._wait(doing)
        batch = self._take_many(most, several=several)
        if self._readable and self._receivers:
            self._receivers.unpark()
        if self._only_peer is not None:
            self._only_peer.wanted = self._reads and not self._receivers
        return batch

    def _take_many(self, most: int, *, several: bool) -> list[Any]:
        self._end_run()
        ring = self._readable
        batch: list[Any] = []
        share = max(1, most // len(ring))
        for _ in range(min(len(ring), most)):
            pipe = ring[0]
            end = len(batch) + share
            while len(batch) < end and ring and ring[0] is pipe:
                bulky = pipe.inbox.bulky
                some = _popped(pipe, end - len(batch))
                fits = len(some) if several else _ahead_of_several(some)
                if fits < len(some):
                    fits = fits or int(not batch)  # alone, it is raised
                    pipe.ready.extendleft(reversed(some[fits:]))
                    del some[fits:]
                    end = 0
                if bulky:
                    self._receive_turn -= sum(map(size_of, some)) // UNIT
                    end = 0
                self._took(pipe, fits)
                batch += self._handed(pipe, some)
            if ring and ring[0] is pipe:
                ring.rotate(-1)
            if not several and batch and type(batch[0]) is list:
                raise MultipartMessage(batch[0])
        return batch

    def _took(self, pipe: Pipe, count: int) -> None:
        self._received += count
        self._receive_turn -= -(-count // LIGHTER)
        inbox = pipe.inbox
        if inbox.stalled and len(inbox) <= inbox.low:
            inbox.reopen()
        if not pipe.ready:
            self._empty(pipe)

    def _handed(self, pipe: Pipe, messages: list[Any]) -> list[Any]:
        """Return what is received for ``messages`` of ``pipe``."""
        return messages


def _popped(pipe: Pipe, most: int) -> list[Any]:
    ready = pipe.ready
    if pipe.inbox.bulky:
        some: list[Any] = []
        size = 0
        while ready and len(some) < most and size < TURN_SIZE:
            some.append(ready.popleft())
            size += size_of(some[-1])
        return some
    if pipe.in_process or len(ready) > most:  # in another thread, somebody may be adding to it
        return [ready.popleft() for _ in range(min(len(ready), most))]
    messages = list(ready)
    ready.clear()
    return messages


def _ahead_of_several(messages: list[Any]) -> int:
    """Return how many ``messages`` come before the first of several frames."""
    if list not in set(map(type, messages)):
        return len(messages)
    return next(place for place, message in enumerate(messages) if type(message) is list)


class FairQueueMany(FairQueue, TakesMany):
    """Receive many messages of one frame, in fair shares from all peers that have some."""

    async def receive_many(self, most: int = MANY) -> list[bytes]:
        """Receive the messages that are there, at least 1 and at most ``most``; waits while there is none.

        Messages of one peer are in order. Several peers have equal shares, as far as they have so many. Otherwise as
        `receive`: it is a checkpoint when it waits, or when 256 messages were received since the last one. Raises
        `MultipartMessage` for a message of several frames, once the messages before it are received.
        """
        return await self._next_many(most, "receive_many", several=False)

    def batches(self, most: int = MANY) -> Batches[list[bytes]]:
        """Return an asynchronous iterator over what `receive_many` returns."""
        return Batches(partial(self.receive_many, most))


class FairQueueManyMultipart(FairQueueMultipart, FairQueueMany):
    """Receive many messages of any number of frames, in fair shares from all peers that have some."""

    async def receive_many_multipart(self, most: int = MANY) -> list[list[bytes]]:
        """Receive the messages that are there, each as the list of its frames. Otherwise as `receive_many`."""
        return list(map(frames_of, await self._next_many(most, "receive_many_multipart", several=True)))


class LabelledMany(Labelled[Label], TakesMany):
    """Receive many pairs, in fair shares from all peers that have some."""

    async def receive_many(self, most: int = MANY) -> list[tuple[Label, bytes]]:
        """Receive the pairs that are there, at least 1 and at most ``most``; waits while there is none.

        Pairs from one peer are in order. Several peers have equal shares, as far as they have so many. Otherwise as
        `receive`: it is a checkpoint when it waits, or when 256 pairs were received since the last one.
        """
        return await self._next_many(most, "receive_many", several=True)

    def batches(self, most: int = MANY) -> Batches[list[tuple[Label, bytes]]]:
        """Return an asynchronous iterator over what `receive_many` returns."""
        return Batches(partial(self.receive_many, most))


class FromNamedMany(FromNamed, TakesMany):
    """Receive many messages, each with the routing id of its sender, in fair shares from all peers that have some."""

    async def receive_many_multipart(self, most: int = MANY) -> list[list[bytes]]:
        """Receive the messages that are there, at least 1 and at most ``most``; waits while there is none.

        Each is the list of its frames, of which the first is the routing id of its sender. Messages of one peer are in
        order. Several peers have equal shares, as far as they have so many. Otherwise as `receive_multipart`.
        """
        return await self._next_many(most, "receive_many_multipart", several=True)

    def _handed(self, pipe: Pipe, messages: list[Any]) -> list[Any]:
        sender = pipe.address
        return [after(sender, message) for message in messages]
