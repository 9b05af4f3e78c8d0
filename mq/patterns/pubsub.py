"""PUB, SUB, XPUB and XSUB (RFC 29): messages go to whoever has subscribed to what they begin with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

import trio

from ..message import Buffer, Cancel, Message, Subscribe, as_frame, as_message, shortened
from ..options import OptionArguments
from ..pipe import Pipe
from .fanout import FanOut, Topical
from .incoming import FairQueueMultipart
from .subscriptions import Subscriptions, Topics

_REQUESTS = {1: Subscribe, 0: Cancel}
"""Requests as messages, told by the first byte: so do peers before ZMTP 3.1 send them, and XPUB and XSUB show them."""


def _as_request(frame: bytes) -> Subscribe | Cancel | None:
    if isinstance(frame, (Subscribe, Cancel)):
        return frame
    kind = _REQUESTS.get(frame[0]) if frame else None
    return kind(frame[1:]) if kind else None


def _as_topic(topic: object) -> bytes:
    if isinstance(topic, str):
        raise TypeError(f"a topic is bytes, got the str {shortened(topic)}: encode it, as in topic.encode()")
    if not isinstance(topic, bytes):
        raise TypeError(f"a topic is bytes, got {type(topic).__name__} {shortened(topic)}")
    return bytes(topic)


class Publisher(Topical):
    """What PUB and XPUB share: who has subscribed to what, and what follows from it for a message."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        own = self.options
        self._subscriptions = Subscriptions()
        self._subscribed = trio.lowlevel.ParkingLot()
        self._last: dict[bytes, Message] = {}
        self._special = bool(
            own.xpub_nodrop or own.invert_matching or own.conflate or own.last_values or own.xpub_manual_last_value
        )

    async def wait_subscribed(self, topic: bytes = b"", n: int = 1) -> None:
        """Wait until a message that is ``topic``, or begins with it, would go to at least ``n`` peers.

        Raises ``trio.ClosedResourceError`` when the socket is closed meanwhile.
        """
        topic = _as_topic(topic)
        self._check_open()
        await trio.lowlevel.checkpoint()
        while len(self._recipients(topic)) < n:
            self._check_open()
            await self._subscribed.park()

    @property
    def topics_count(self) -> int:
        """How many different topics the peers have subscribed to (ZMQ_TOPICS_COUNT)."""
        return len(self._subscriptions.topics)

    def _recipients(self, message: Message) -> Mapping[Pipe, None]:
        topic = message if isinstance(message, bytes) else message[0]
        found = self._subscriptions.match(topic)
        if self.options.invert_matching:
            return {pipe: None for pipe in self._pipes if pipe.connected and pipe not in found}
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
        """Take the subscriptions and cancellations out of what a peer sent; the rest is for whoever receives."""
        request = _as_request(message if isinstance(message, bytes) else message[0])
        if isinstance(message, bytes):
            if request is None:
                self._upstream(pipe, message)
            else:
                self._request(pipe, request)
            return
        rest: list[bytes] = []
        for number, frame in enumerate(message):
            request = _as_request(frame) if number == 0 or not self.options.only_first_subscribe else None
            if request is None:
                rest.append(frame)
            else:
                self._request(pipe, request)
        if rest:
            self._upstream(pipe, rest[0] if len(rest) == 1 else rest)

    def _request(self, pipe: Pipe, request: Subscribe | Cancel) -> bool:
        """Carry ``request`` out; return whether it was the first for its topic, or the last."""
        if isinstance(request, Cancel):
            last = self._subscriptions.remove(pipe, request)
            self._forget_recipients(self._subscriptions.longest)
            return last
        if not pipe.connected:
            return False
        first = self._subscriptions.add(pipe, bytes(request))
        self._forget_recipients(self._subscriptions.longest)
        for topic, message in self._last.items():
            if topic.startswith(request):
                self._deliver(message, (pipe,))
        self._subscribed.unpark_all()
        return first

    def _upstream(self, pipe: Pipe, message: Message) -> None:
        """A message that is no request has come."""
        self._drop(pipe, 1, f"{self.socket_type} does not receive")

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        welcome = self.options.xpub_welcome_message
        if welcome is not None:
            self._deliver(welcome, (pipe,))
        if self.options.invert_matching:
            self._subscribed.unpark_all()

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        self._unsubscribe_all(pipe)

    def _unsubscribe_all(self, pipe: Pipe) -> list[bytes]:
        ended = self._subscriptions.forget(pipe)
        self._forget_recipients(self._subscriptions.longest)
        return ended

    def _pipe_removed(self, pipe: Pipe) -> None:
        super()._pipe_removed(pipe)
        self._unsubscribe_all(pipe)

    def _stop(self) -> None:
        super()._stop()
        self._subscribed.unpark_all()


class Pub(Publisher):
    """Send messages to the SUB and XSUB peers that want them. Cannot receive."""

    socket_type = "PUB"

    def _arrived(self, pipe: Pipe) -> None:
        inbox = pipe.inbox
        inbox.asleep = True
        while inbox:
            self._heed(pipe, inbox.popleft())
        if inbox.stalled:
            inbox.stalled = False
            inbox.resume()


class XPub(Publisher, FairQueueMultipart, trio.abc.Channel[bytes]):
    """As `Pub`, and receive the subscriptions: ``b"\\x01" + topic``, and ``b"\\x00" + topic`` when one ends."""

    socket_type = "XPUB"
    _translates = True
    _eager = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._manual = self.options.xpub_manual or self.options.xpub_manual_last_value
        self._asking: Pipe | None = None
        """Whose request was received last."""
        self._favoured: Pipe | None = None
        """Who alone is to get the next message."""

    def subscribe(self, topic: bytes) -> None:
        """With ``xpub_manual``: subscribe the peer whose request was received last to ``topic``."""
        pipe = self._answering("subscribe")
        super()._request(pipe, Subscribe(_as_topic(topic)))
        if self.options.xpub_manual_last_value:
            self._favoured = pipe

    def unsubscribe(self, topic: bytes) -> None:
        """With ``xpub_manual``: undo what `subscribe` did for the peer whose request was received last."""
        super()._request(self._answering("unsubscribe"), Cancel(_as_topic(topic)))

    def _answering(self, what: str) -> Pipe:
        self._check_open()
        if not self._manual:
            raise ValueError(f"{what}() on an XPub is for xpub_manual=True; without it, peers subscribe by themselves")
        if self._asking is None:
            raise ValueError(f"{what}() answers a request: receive one first")
        return self._asking

    def _recipients(self, message: Message) -> Mapping[Pipe, None]:
        found = super()._recipients(message)
        if self._favoured is not None:
            return {pipe: None for pipe in found if pipe is self._favoured}
        return found

    def _give(self, message: Message) -> None:
        super()._give(message)
        self._favoured = None

    def _pop(self) -> Any:
        asking = self._readable[0] if self._readable else None
        message = super()._pop()
        self._asking = asking
        return message

    def _grant_run(self, pipe: Pipe) -> None:
        """Grant none: each message has to tell who asks."""

    def _fetch(self, pipe: Pipe) -> None:
        """Heed what has come, unless the requests that nobody receives are too many."""
        inbox, ready = pipe.inbox, pipe.ready
        limit = self.options.receive_hwm
        inbox.asleep = True
        while inbox and not (limit and len(ready) >= limit):
            self._heed(pipe, inbox.popleft())
        if not inbox:
            self._resume(pipe)

    def _request(self, pipe: Pipe, request: Subscribe | Cancel) -> bool:
        own = self.options
        cancels = isinstance(request, Cancel)
        tell = self._manual or super()._request(pipe, request)
        if tell or own.xpub_verboser or (own.xpub_verbose and not cancels):
            pipe.ready.append((b"\0" if cancels else b"\1") + request)
        return tell

    def _upstream(self, pipe: Pipe, message: Message) -> None:
        pipe.ready.append(message)

    def _unsubscribe_all(self, pipe: Pipe) -> list[bytes]:
        ended = super()._unsubscribe_all(pipe)
        if self._favoured is pipe:
            self._favoured = None
        if not self._closing:
            pipe.ready.extend(b"\0" + topic for topic in ended)
            self._rejoin(pipe)
        return ended


class Subscriber(FairQueueMultipart):
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
            if pipe.connected and not pipe.retired:
                self._tell(pipe, request)

    def _tell(self, pipe: Pipe, request: Message) -> None:
        pipe.outbox.append(request)
        if pipe.outbox.asleep:
            pipe.outbox.wake()

    def _pipe_connected(self, pipe: Pipe) -> None:
        super()._pipe_connected(pipe)
        for topic in self._held:
            self._tell(pipe, Subscribe(topic))

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        # The next connection is told everything anew.
        kept = [message for message in pipe.outbox if not isinstance(message, (Subscribe, Cancel))]
        pipe.outbox.clear()
        pipe.outbox.extend(kept)


class Sub(Subscriber):
    """Receive what begins with one of the subscribed topics, from all connected PUB and XPUB peers. Cannot send."""

    socket_type = "SUB"
    _translates = True

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._inverted = self.options.invert_matching

    def subscribe(self, topic: bytes) -> None:
        """Have messages that begin with ``topic`` delivered from now on; ``b""`` is all. Takes effect at each peer.

        Topics are counted: what was subscribed to twice is to be unsubscribed from twice.
        """
        self._check_open()
        topic = _as_topic(topic)
        self._held.add(topic)
        self._ask(Subscribe(topic))

    def unsubscribe(self, topic: bytes) -> None:
        """Undo one `subscribe`. What had come and matches nothing any more is dropped. Raises ValueError."""
        self._check_open()
        topic = _as_topic(topic)
        try:
            last = self._held.remove(topic)
        except KeyError:
            raise ValueError(f"this Sub is not subscribed to {shortened(topic)}") from None
        if last:
            self._ask(Cancel(topic))
            self._sift(self._wants)

    def _wants(self, message: Message) -> bool:
        return self._held.match(message if isinstance(message, bytes) else message[0]) is not self._inverted

    def _translate(self, pipe: Pipe, batch: list[Message]) -> list[Any]:
        if self._inverted:
            return list(filter(self._wants, batch))
        return self._held.sift(batch)


class XSub(Subscriber, FanOut, trio.abc.Channel[bytes]):
    """As `Sub`, with subscriptions sent as messages: ``b"\\x01" + topic``, and ``b"\\x00" + topic`` to end one.

    Any other message goes upstream, to all peers with room. What is received is not filtered here.
    """

    socket_type = "XSUB"
    fans_out = False

    async def send(self, message: bytes) -> None:
        """Send a subscription, a cancellation or any other message to all peers. Waits for nobody.

        A send is a checkpoint only at every 256th message.
        """
        self._check_open()
        await self._take_turn()
        self.send_nowait(message)

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """As `send`, for a message of one or more frames; each that begins like a subscription is taken for one."""
        self._check_open()
        await self._take_turn()
        self.send_multipart_nowait(frames)

    def send_nowait(self, message: bytes) -> None:
        """As `send`, which never waits for a peer."""
        self._check_open()
        self._give(as_frame(message))

    def send_multipart_nowait(self, frames: Iterable[Buffer]) -> None:
        """As `send_multipart`, which never waits for a peer."""
        self._check_open()
        self._give(as_message(frames))

    def _give(self, message: Message) -> None:
        self._sent += 1
        self._send_turn -= 1
        frames = [message] if isinstance(message, bytes) else message
        rest: list[bytes] = []
        for number, frame in enumerate(frames):
            request = _as_request(frame) if number == 0 or not self.options.only_first_subscribe else None
            if request is None:
                rest.append(frame)
            else:
                self._request(request)
        if rest:
            self._deliver(
                rest[0] if len(rest) == 1 else rest,
                [pipe for pipe in self._pipes if pipe.connected and not pipe.retired],
            )

    def _request(self, request: Subscribe | Cancel) -> None:
        topic = bytes(request)
        if isinstance(request, Subscribe):
            self._held.add(topic)
            self._ask(request)
            return
        last = topic in self._held and self._held.remove(topic)
        if last or self.options.xsub_verbose_unsubscribe:
            self._ask(request)
