"""How are many messages sent or received by one call? As lists, by the types that need no reply between messages.

A list needs one call, one check of the peers and one check of the turn, instead of one of each per message.
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
"""The largest number of messages that are sent together, and the default of those received together."""

LIGHTER = 4
"""This many messages of a list count as one message of a turn, because they take as long."""

_WORTH_A_WRITE = 64
"""A list of this many messages per peer is written to the kernel at once, without waiting for further messages."""

_FIRST_STEP = 1
"""A quarter of the messages that are first taken from an iterator before their bytes are counted. Grows fourfold."""

_SAMPLE = 16
"""The size of one in 16 messages of a list is measured: the list exists already, and a queue takes all messages."""

_TELLING = {type(iter(empty)) for empty in (list[Any](), (), deque[Any]())}
"""The types of iterators whose `length_hint` is exact."""

Batch = TypeVar("Batch")


# -- sending -----------------------------------------------------------------------------------------------


class SendsMany(SendsInTurns):
    """Send many messages by one call. Subclasses determine the room in the queues, and fill them."""

    async def send_many(self, messages: Iterable[bytes]) -> None:
        """Send ``messages``, each of one frame, in order. Faster than a loop of `send`, with the same guarantees.

        Takes exactly as many messages from ``messages`` as it sends. If you pass an iterator and the call is cancelled,
        the iterator still holds the messages that were not sent. An iterator without an exact length may exceed
        ``send_hwm`` by one message. Is a checkpoint after 256 to 1279 messages, or earlier if messages are large.
        Raises TypeError for an object that is not bytes, after sending the messages before it, and
        ``trio.ClosedResourceError`` when the socket is closed.
        """
        await self._send_all_of(messages, as_frame, "send_many")

    async def _send_all_of(self, messages: Iterable[Any], checked: Callable[[Any], Message], doing: str) -> None:
        if isinstance(messages, (bytes, bytearray, memoryview, str)):
            raise TypeError(f"messages are a list or an iterator, got {shortened(messages)}: use send() for one")
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
        """Send up to ``most`` messages. Returns whether ``source`` may have more."""
        messages: list[Message] = []
        size = 0
        more = True
        there = type(source) in _TELLING
        step = _FIRST_STEP
        try:
            while more and len(messages) < most and size < TURN_SIZE:
                # The messages of a list exist already. An iterator may create larger ones later, and may take time.
                step = most - len(messages) if messages and there else min(4 * step, most - len(messages))
                if size:  # assume that the next messages are as large as the earlier ones
                    step = min(step, (TURN_SIZE - size) * len(messages) // size + 1)
                some: list[Message] = []
                try:
                    _take(source, step, checked, some)
                finally:
                    size += _weight(some, step=_SAMPLE if there and messages else 1)
                    messages += some
                more = len(some) == step
        finally:  # if the iterator raises, the messages taken before are sent
            if messages:
                self._end_send_run()
                self._send_turn -= -(-len(messages) // LIGHTER)
                self._give_many(messages, size)
                self._spend(size * self._copies)
        return more

    @property
    def _copies(self) -> int:
        """The approximate number of peers that get each message."""
        return 1

    async def _until_room(self, source: Iterator[Any], doing: str) -> int:
        """Wait until messages can be sent. Returns how many, or 0 if ``source`` is exhausted."""
        raise NotImplementedError

    def _give_many(self, messages: list[Message], size: int) -> None:
        """Queue ``messages``, which have ``size`` bytes in total, and count them as sent."""
        raise NotImplementedError


def _take(source: Iterator[Any], most: int, checked: Callable[[Any], Message], messages: list[Message]) -> None:
    """Append up to ``most`` messages to ``messages``. If one is invalid, append those before it and raise."""
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
    """Return the approximate bytes of ``messages``, from the sizes of one in ``step`` of them."""
    weighed = messages[::step]
    several = list in set(map(type, weighed))
    return step * sum(map(size_of if several else len, weighed))


def _used_up(source: Iterator[Any]) -> bool:
    return type(source) in _TELLING and not length_hint(source)


class RoundRobinMany(RoundRobin, SendsMany):
    """Send many messages to the connected peers with room, one to each in turn."""

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
        # Only taking a message shows whether there is one more, and a taken message must be sent.
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
        if ring:  # there may be room for messages of waiting tasks
            self._senders.unpark()


class RoundRobinManyMultipart(RoundRobinMultipart, RoundRobinMany):
    """Send many messages of any number of frames to the connected peers with room, one to each in turn."""

    async def send_many_multipart(self, messages: Iterable[Iterable[Buffer]]) -> None:
        """Send ``messages``, each an iterable of one or more frames. Otherwise as `send_many`."""
        await self._send_all_of(messages, as_message, "send_many_multipart")


class TopicalMany(Topical, SendsMany):
    """Send many messages, each to the peers that subscribe to a prefix of it."""

    async def send_many_multipart(self, messages: Iterable[Iterable[Buffer]]) -> None:
        """Send ``messages``, each an iterable of one or more frames. Otherwise as `send_many`."""
        await self._send_all_of(messages, as_message, "send_many_multipart")

    @property
    def _copies(self) -> int:
        return self._peer_count

    async def _until_room(self, source: Iterator[Any], doing: str) -> int:
        if not self._special:
            return self._most_waiting
        # Only taking the next message shows which peers it goes to.
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
    """An asynchronous iterator over lists of messages."""

    def __init__(self, receive: Callable[[], Awaitable[Batch]]) -> None:
        self._receive = receive

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        return await self._receive()


class TakesMany(Receiver):
    """Receive the waiting messages, up to a number, in equal shares from all peers that have some."""

    async def _next_many(self, most: int, doing: str, *, several: bool) -> list[Any]:
        """Wait for messages, and take up to ``most``. Without ``several``, stop before a message of several frames."""
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise ValueError(f"{doing}() takes a limit of at least 1 message, got most={most!r}")
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
                    fits = fits or int(not batch)  # if it comes first, it is raised below
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
        """Return what the program receives for ``messages`` from ``pipe``."""
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
    if pipe.in_process or len(ready) > most:  # a producer in another thread may be adding messages
        return [ready.popleft() for _ in range(min(len(ready), most))]
    messages = list(ready)
    ready.clear()
    return messages


def _ahead_of_several(messages: list[Any]) -> int:
    """Return the number of ``messages`` before the first one of several frames."""
    if list not in set(map(type, messages)):
        return len(messages)
    return next(place for place, message in enumerate(messages) if type(message) is list)


class FairQueueMany(FairQueue, TakesMany):
    """Receive many messages of one frame, in equal shares from all peers that have some."""

    async def receive_many(self, most: int = MANY) -> list[bytes]:
        """Receive the waiting messages, at least 1 and at most ``most``. Waits while there is none.

        Messages of one peer are in order. If several peers have waiting messages, each gets an equal share of ``most``.
        Large messages may end a list earlier. Checkpoints and cancellation are as for `receive`. Raises
        `MultipartMessage` for a message of several frames, after the messages before it are received, and
        ``trio.ClosedResourceError`` when the socket is closed.
        """
        return await self._next_many(most, "receive_many", several=False)

    def batches(self, most: int = MANY) -> Batches[list[bytes]]:
        """Return an asynchronous iterator over what `receive_many` returns."""
        return Batches(partial(self.receive_many, most))


class FairQueueManyMultipart(FairQueueMultipart, FairQueueMany):
    """Receive many messages of any number of frames, in equal shares from all peers that have some."""

    async def receive_many_multipart(self, most: int = MANY) -> list[list[bytes]]:
        """Receive the waiting messages, each as the list of its frames. Otherwise as `receive_many`."""
        return list(map(frames_of, await self._next_many(most, "receive_many_multipart", several=True)))


class LabelledMany(Labelled[Label], TakesMany):
    """Receive many pairs, in equal shares from all peers that have some."""

    async def receive_many(self, most: int = MANY) -> list[tuple[Label, bytes]]:
        """Receive the waiting pairs, at least 1 and at most ``most``. Waits while there is none.

        Pairs from one peer are in order. If several peers have waiting pairs, each gets an equal share of ``most``.
        Large messages may end a list earlier. Checkpoints, cancellation and errors are as for `receive`.
        """
        return await self._next_many(most, "receive_many", several=True)

    def batches(self, most: int = MANY) -> Batches[list[tuple[Label, bytes]]]:
        """Return an asynchronous iterator over what `receive_many` returns."""
        return Batches(partial(self.receive_many, most))


class FromNamedMany(FromNamed, TakesMany):
    """Receive many messages after the routing ids of their senders, in equal shares from all peers that have some."""

    async def receive_many_multipart(self, most: int = MANY) -> list[list[bytes]]:
        """Receive the waiting messages, at least 1 and at most ``most``. Waits while there is none.

        Each message is the list of its frames, and the first frame is the routing id of the sender. Messages of one
        peer are in order. If several peers have waiting messages, each gets an equal share of ``most``. Large messages
        may end a list earlier. Otherwise as `receive_multipart`.
        """
        return await self._next_many(most, "receive_many_multipart", several=True)

    def _handed(self, pipe: Pipe, messages: list[Any]) -> list[Any]:
        sender = pipe.address
        return [after(sender, message) for message in messages]
