"""PUB and SUB (RFC 29): messages go to whoever has subscribed to what they begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from ..limits import check_topic
from ..message import Cancel, Message, Subscribe, as_bytes, first_frame, frames_of, message_of, shortened
from ..options import OptionArguments
from ..pipe import Pipe
from .fair_queue import Choosy
from .many import FairQueueManyMultipart, TopicalMany
from .subscriptions import Topics

_REQUESTS = {1: Subscribe, 0: Cancel}
"""Requests as messages, told by the first byte: so do peers before ZMTP 3.1 send them, and XPUB and XSUB show them."""


def _as_request(frame: bytes) -> Subscribe | Cancel | None:
    if isinstance(frame, (Subscribe, Cancel)):
        return frame
    kind = _REQUESTS.get(frame[0]) if frame else None
    return kind(frame[1:]) if kind else None


def requests_of(message: Message, *, only_first: bool) -> tuple[list[Subscribe | Cancel], Message | None]:
    """Return the requests among the frames of ``message``, and the message that the other frames make, if any."""
    requests: list[Subscribe | Cancel] = []
    rest: list[bytes] = []
    for number, frame in enumerate(frames_of(message)):
        request = None if only_first and number else _as_request(frame)
        if request is None:
            rest.append(frame)
        else:
            requests.append(request)
    return requests, message_of(rest) if rest else None


class Publisher(TopicalMany):
    """What PUB and XPUB share: who has subscribed to what, and what follows from it for a message."""

    _connects_once = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        own = self.options
        if own.last_values and own.invert_matching:
            raise ValueError("last_values and invert_matching exclude each other: a subscription refuses messages then")
        self._last: dict[bytes, Message] = {}

    @property
    def _exact(self) -> bool:
        own = self.options
        by_hand = own.xpub_manual or own.xpub_manual_last_value
        return not (own.invert_matching or by_hand or own.xpub_welcome_message is not None)

    async def wait_subscribed(self, topic: bytes | None = b"", n: int = 1) -> None:
        """Wait until a message that is ``topic``, or begins with it, would go to at least ``n`` peers.

        With None, wait until so many have subscribed to anything. Raises ``trio.ClosedResourceError`` when the socket
        is closed meanwhile.
        """
        if topic is None:
            await self._until_wanted(lambda: self._subscriptions.peer_count, n, "wait_subscribed")
        else:
            wanted = as_bytes(topic, "topic")
            await self._until_wanted(lambda: len(self._interested(wanted)), n, "wait_subscribed")

    @property
    def topics_count(self) -> int:
        """How many different topics the peers have subscribed to (ZMQ_TOPICS_COUNT)."""
        return len(self._subscriptions.topics)

    def _recipients(self, message: Message) -> Mapping[Pipe, None]:
        return self._interested(first_frame(message))

    def _interested(self, topic: bytes) -> Mapping[Pipe, None]:
        found = self._subscriptions.match(topic)
        if self.options.invert_matching:
            return {pipe: None for pipe in self._pipes if pipe not in found and pipe.usable}
        return found

    def _give(self, message: Message) -> None:
        super()._give(message)
        if self.options.last_values and isinstance(message, list):
            self._last.pop(message[0], None)
            self._last[message[0]] = message
            if len(self._last) > self.options.last_values:
                del self._last[next(iter(self._last))]

    # -- what peers ask for --------------------------------------------------------------------------------

    def _heed(self, pipe: Pipe, message: Message) -> None:
        """Take the requests out of what a peer sent; the rest is for whoever receives."""
        requests, rest = requests_of(message, only_first=self.options.only_first_subscribe)
        if pipe.usable:  # nothing can be sent to others, so what they want is moot
            for request in requests:
                self._request(pipe, request)
        if rest is not None:
            self._upstream(pipe, rest)

    def _request(self, pipe: Pipe, request: Subscribe | Cancel) -> None:
        if isinstance(request, Cancel):
            self._subscriptions.remove(pipe, bytes(request))
        else:
            self._subscribe(pipe, bytes(request))

    def _subscribe(self, pipe: Pipe, topic: bytes) -> bool:
        """Have ``pipe`` get what begins with ``topic``; return whether it is the first to have it."""
        known = self._subscriptions
        missed = [
            message
            for first, message in self._last.items()
            if first.startswith(topic) and pipe not in known.match(first)
        ]
        is_first = known.add(pipe, topic)
        for message in missed:
            self._deliver(message, (pipe,))
        self._more_wanted.unpark_all()
        return is_first

    def _upstream(self, pipe: Pipe, message: Message) -> None:
        """A message that is no request has come."""
        self._drop_unreceivable(pipe, 1)

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        welcome = self.options.xpub_welcome_message
        if welcome is not None:
            self._deliver(welcome, (pipe,))
        if self.options.invert_matching:
            self._more_wanted.unpark_all()

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        self._unsubscribe_all(pipe)

    def _unsubscribe_all(self, pipe: Pipe) -> None:
        self._subscriptions.forget(pipe)

    def _pipe_removed(self, pipe: Pipe) -> None:
        super()._pipe_removed(pipe)
        self._unsubscribe_all(pipe)


class Pub(Publisher):
    """Send messages to the SUB and XSUB peers that want them. Cannot receive."""

    socket_type = "PUB"

    def _arrived(self, pipe: Pipe) -> None:
        inbox = pipe.inbox
        inbox.asleep = True
        while inbox:
            self._heed(pipe, inbox.popleft())
        inbox.reopen()


class Subscriber(FairQueueManyMultipart):
    """What SUB and XSUB share: each new peer is told the topics."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._held = Topics()

    @property
    def topics_count(self) -> int:
        """How many different topics this socket has subscribed to (ZMQ_TOPICS_COUNT)."""
        return len(self._held)

    def _ask(self, request: Subscribe | Cancel) -> None:
        """Send ``request`` to all peers. Requests wait for no room: there are no more of them than the user made."""
        for pipe in self._pipes:
            if pipe.usable:
                pipe.outbox.put(request)

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        # Before what waited for the connection.
        pipe.outbox.extendleft(reversed([Subscribe(topic) for topic in self._held]))
        if pipe.outbox and pipe.outbox.asleep:
            pipe.outbox.wake()

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        if not pipe.in_process:  # the next connection is told everything anew
            kept = [message for message in pipe.outbox if not isinstance(message, (Subscribe, Cancel))]
            pipe.outbox.clear()
            pipe.outbox.extend(kept)


class Sub(Choosy, Subscriber):
    """Receive what begins with one of the subscribed topics, from all connected PUB and XPUB peers. Cannot send."""

    socket_type = "SUB"
    _connects_once = True
    _translates = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._inverted = self.options.invert_matching

    def subscribe(self, topic: bytes) -> None:
        """Receive the messages whose first frame begins with ``topic``; ``b""`` is all.

        Returns at once: what a publisher sends before it has heard of it is missed. Topics are counted: what was
        subscribed to twice is to be unsubscribed from twice. Raises ValueError for a topic of more than 1048566 bytes,
        over which peers would end the connection.
        """
        self._check_open()
        topic = as_bytes(topic, "topic")
        check_topic(topic)
        self._held.add(topic)
        self._ask(Subscribe(topic))
        if self._inverted:
            self._sift(self._wants)

    def unsubscribe(self, topic: bytes) -> None:
        """Undo one `subscribe`. What had come and matches nothing any more is dropped. Raises ValueError."""
        self._check_open()
        topic = as_bytes(topic, "topic")
        try:
            last = self._held.remove(topic)
        except KeyError:
            raise ValueError(f"this Sub is not subscribed to {shortened(topic)}") from None
        if last:
            for pipe in self._pipes:
                pipe.trusted = False  # before it hears of that, the peer may have sent more of it
            self._ask(Cancel(topic))
            self._sift(self._wants)

    def _deaf(self) -> str:
        return "" if self._held or self._inverted else "it has subscribed to nothing; call subscribe(topic), b'' is all"

    def _wants(self, message: Message) -> bool:
        return self._held.match(first_frame(message)) is not self._inverted

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        if self._inverted:
            return list(filter(self._wants, batch))
        if pipe.trusted:
            if all(map(self._wants, batch if len(batch) < 3 else (batch[0], batch[-1]))):
                return batch
            pipe.trusted = False  # its word does not hold
        return self._held.sift(batch)
