"""How are messages published? By PUB and SUB (RFC 29): to each peer that subscribes to a prefix of the message."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Unpack

from ..limits import check_topic
from ..message import Cancel, Message, Subscribe, as_bytes, first_frame, frames_of, message_of, shortened
from ..options import OptionArguments
from ..pipe import Pipe
from .fair_queue import Choosy
from .many import FairQueueManyMultipart, TopicalMany
from .subscriptions import Topics

_REQUESTS = {1: Subscribe, 0: Cancel}
"""Subscription requests by the first byte of a message.

Peers before ZMTP 3.1 send requests in this form, and XPUB and XSUB exchange them with the program in this form.
"""


def _as_request(frame: bytes) -> Subscribe | Cancel | None:
    if isinstance(frame, (Subscribe, Cancel)):
        return frame
    kind = _REQUESTS.get(frame[0]) if frame else None
    return kind(frame[1:]) if kind else None


def requests_of(message: Message, *, only_first: bool) -> tuple[list[Subscribe | Cancel], Message | None]:
    """Return the requests among the frames of ``message``, and the message of the other frames, if any."""
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
    """The common part of PUB and XPUB: keeps the subscriptions of the peers, and finds the recipients of a message."""

    _connects_once = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        own = self.options
        if own.last_values and own.invert_matching:
            raise ValueError("last_values and invert_matching exclude each other: subscriptions then exclude messages")
        self._last: dict[bytes, Message] = {}

    @property
    def _exact(self) -> bool:
        own = self.options
        by_hand = own.xpub_manual or own.xpub_manual_last_value
        return not (own.invert_matching or by_hand or own.xpub_welcome_message is not None)

    async def wait_subscribed(self, topic: bytes | None = b"", n: int = 1) -> None:
        """Wait until a message that begins with ``topic`` would go to at least ``n`` peers.

        If ``topic`` is None, wait until ``n`` peers have subscribed to any topic. An absent peer does not count, even
        if messages wait for it. Raises ``trio.ClosedResourceError`` when the socket is closed.
        """
        if topic is None:
            await self._until_wanted(lambda: self._count(self._subscriptions.peers), n, "wait_subscribed")
        else:
            wanted = as_bytes(topic, "topic")
            await self._until_wanted(lambda: self._count(self._interested(wanted)), n, "wait_subscribed")

    @property
    def topics_count(self) -> int:
        """The number of different topics to which peers subscribe (ZMQ_TOPICS_COUNT)."""
        return len(self._subscriptions.topics)

    def _recipients(self, message: Message) -> Mapping[Pipe, None]:
        return self._interested(first_frame(message))

    def _interested(self, topic: bytes) -> Mapping[Pipe, None]:
        found = self._subscriptions.match(topic)
        if self.options.invert_matching:
            away = self._absent
            return {
                pipe: None
                for pipe in self._pipes
                if pipe not in found and (pipe.usable or (pipe in away and not pipe.retired))
            }
        return found

    def _give(self, message: Message) -> None:
        super()._give(message)
        if self.options.last_values and isinstance(message, list):
            self._last.pop(message[0], None)
            self._last[message[0]] = message
            if len(self._last) > self.options.last_values:
                del self._last[next(iter(self._last))]

    # -- subscriptions of peers ----------------------------------------------------------------------------

    def _heed(self, pipe: Pipe, message: Message) -> None:
        """Apply the requests in a message of a peer, and pass the other frames on."""
        requests, rest = requests_of(message, only_first=self.options.only_first_subscribe)
        for request in requests:
            if pipe.usable:  # no messages can go to other pipes
                self._request(pipe, request)
            self._note(pipe, bytes(request), wanted=isinstance(request, Subscribe))
        if rest is not None:
            self._upstream(pipe, rest)

    def _request(self, pipe: Pipe, request: Subscribe | Cancel) -> None:
        if isinstance(request, Cancel):
            self._subscriptions.remove(pipe, bytes(request))
        else:
            self._subscribe(pipe, bytes(request))

    def _subscribe(self, pipe: Pipe, topic: bytes) -> bool:
        """Subscribe ``pipe`` to ``topic``, and send the last values. Returns whether no peer had subscribed to it."""
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
        """Process a message from ``pipe`` that is no request."""
        self._drop_unreceivable(pipe, 1)

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        welcome = self.options.xpub_welcome_message
        if welcome is not None and not pipe.withheld:
            self._deliver(welcome, (pipe,))
        if self.options.invert_matching:
            self._more_wanted.unpark_all()

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        if pipe not in self._absent:
            self._unsubscribe_all(pipe)

    def _unsubscribe_all(self, pipe: Pipe) -> None:
        self._subscriptions.forget(pipe)

    # -- what waits for a peer that is away ----------------------------------------------------------------

    @property
    def _wants_unasked(self) -> bool:
        return self.options.invert_matching

    def _asked_by(self, pipe: Pipe) -> Collection[bytes]:
        return self._subscriptions.topics_of(pipe)

    def _ask_no_more(self, pipe: Pipe, topics: Iterable[bytes], *, all_of_them: bool) -> None:
        for topic in topics:
            self._subscriptions.remove(pipe, topic)

    def _wanted_of(self, messages: list[Message], asked: Collection[bytes]) -> list[Message]:
        topics = Topics(asked)
        if self.options.invert_matching:
            return [message for message in messages if not topics.match(first_frame(message))]
        return topics.sift(messages)

    def _completed(self, pipe: Pipe, messages: list[Message]) -> list[Message]:
        """Add the welcome message and last values: before, if they are older than ``messages``, or else behind."""
        newest = {first_frame(message): message for message in messages}
        last = [message for first, message in self._last.items() if pipe in self._subscriptions.match(first)]
        older = [message for message in last if message[0] not in newest]
        missed = [message for message in last if message[0] in newest and newest[first_frame(message)] != message]
        welcome = self.options.xpub_welcome_message
        return [*([] if welcome is None else [welcome]), *older, *messages, *missed]

    def _pipe_removed(self, pipe: Pipe) -> None:
        super()._pipe_removed(pipe)
        self._unsubscribe_all(pipe)


class Pub(Publisher):
    """Send each message to the SUB and XSUB peers that subscribe to a prefix of it. Cannot receive."""

    socket_type = "PUB"

    def _arrived(self, pipe: Pipe) -> None:
        inbox = pipe.inbox
        inbox.asleep = True
        while inbox:
            self._heed(pipe, inbox.popleft())
        inbox.reopen()


class Subscriber(FairQueueManyMultipart):
    """The common part of SUB and XSUB: keeps the topics, and sends them to each new peer."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._held = Topics()

    @property
    def topics_count(self) -> int:
        """The number of different topics to which this socket subscribes (ZMQ_TOPICS_COUNT)."""
        return len(self._held)

    def _ask(self, request: Subscribe | Cancel) -> None:
        """Send ``request`` to all peers. A full queue does not matter: the program limits the number of requests."""
        for pipe in self._pipes:
            if pipe.usable:
                pipe.outbox.put(request)

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        # Subscriptions go before the messages that waited for the connection.
        pipe.outbox.extendleft(reversed([Subscribe(topic) for topic in self._held]))
        if pipe.outbox and pipe.outbox.asleep:
            pipe.outbox.wake()

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        if not pipe.in_process:  # the next connection gets all topics again
            kept = [message for message in pipe.outbox if not isinstance(message, (Subscribe, Cancel))]
            pipe.outbox.clear()
            pipe.outbox.extend(kept)


class Sub(Choosy, Subscriber):
    """Receive messages that begin with a subscribed topic from all connected PUB and XPUB peers. Cannot send."""

    socket_type = "SUB"
    _connects_once = True
    _translates = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._inverted = self.options.invert_matching

    def subscribe(self, topic: bytes) -> None:
        """Receive messages whose first frame begins with ``topic``. ``b""`` matches all messages.

        Returns at once. Messages that a publisher sends before it receives the subscription are missed. Subscriptions
        are counted: after two calls with the same topic, `unsubscribe` must be called twice. Raises ValueError if
        ``topic`` has more than 1048566 bytes, for which peers would end the connection.
        """
        self._check_open()
        topic = as_bytes(topic, "topic")
        check_topic(topic)
        self._held.add(topic)
        self._ask(Subscribe(topic))
        if self._inverted:
            self._sift(self._wants)

    def unsubscribe(self, topic: bytes) -> None:
        """Undo one `subscribe`. Waiting messages that match no other topic are discarded, and not counted as dropped.

        Raises ValueError if the socket does not subscribe to ``topic``.
        """
        self._check_open()
        topic = as_bytes(topic, "topic")
        try:
            last = self._held.remove(topic)
        except KeyError:
            raise ValueError(f"this Sub is not subscribed to {shortened(topic)}") from None
        if last:
            for pipe in self._pipes:
                pipe.trusted = False  # the peer may send such messages until it receives the request
            self._ask(Cancel(topic))
            self._sift(self._wants)

    def _deaf(self) -> str:
        if self._held or self._inverted:
            return ""
        return "the socket has no subscription; call subscribe(topic), where b'' matches all messages"

    def _wants(self, message: Message) -> bool:
        return self._held.match(first_frame(message)) is not self._inverted

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        if self._inverted:
            return list(filter(self._wants, batch))
        if pipe.trusted:
            if all(map(self._wants, batch if len(batch) < 3 else (batch[0], batch[-1]))):
                return batch
            pipe.trusted = False  # the peer does not filter as READY promised
        return self._held.sift(batch)
