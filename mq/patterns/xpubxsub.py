"""How does a program handle subscriptions itself? By XPUB and XSUB (RFC 29), where subscriptions are messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Unpack

import trio

from ..limits import check_topic
from ..message import Buffer, Cancel, Message, Subscribe, as_bytes, as_frame, as_message
from ..options import OptionArguments
from ..pipe import Pipe
from ..reasons import UNRECEIVED
from .fair_queue import FairQueueMultipart
from .fanout import FanOut
from .pubsub import Publisher, Subscriber, requests_of

_MOST_LEFT = 1000
"""The requests of at least so many peers that are gone wait to be received, and of less than twice as many."""


class XPub(Publisher, FairQueueMultipart, trio.abc.Channel[bytes]):
    """Send as `Pub` does, and receive subscriptions as messages.

    ``b"\\x01" + topic`` announces the first subscription to a topic, and ``b"\\x00" + topic`` the end of the last one,
    in the order in which they took effect. With ``xpub_verbose``, ``xpub_verboser`` or ``xpub_manual``, further
    subscriptions are received too. Other messages of peers are received unchanged. While ``receive_hwm`` messages of a
    peer wait to be received, further subscriptions of that peer do not take effect.
    """

    socket_type = "XPUB"
    _translates = True
    _eager = True
    _in_order = False
    """Requests are received in the order in which they took effect, so connections need no further order."""
    _reads = False

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._manual = self.options.xpub_manual or self.options.xpub_manual_last_value
        self._asked: dict[Pipe, dict[bytes, None]] = {}
        """With ``xpub_manual``, the topics that each peer requested, whether or not the program subscribed the peer."""
        self._asking: Pipe | None = None
        """The peer whose request was received last."""
        self._left: dict[Pipe, None] = {}
        """Peers that are gone and had unreceived requests when they left, oldest first."""
        self._favoured: Pipe | None = None
        """The only peer that gets the next message, if set."""

    def subscribe(self, topic: bytes) -> None:
        """With ``xpub_manual``, subscribe the peer whose request was received last to ``topic``.

        Does nothing if that peer is gone. Raises ValueError without ``xpub_manual``, and before the first request is
        received.
        """
        pipe = self._answering("subscribe")
        topic = as_bytes(topic, "topic")
        if pipe.usable:
            self._subscribe(pipe, topic)
            if self.options.xpub_manual_last_value:
                self._favoured = pipe

    def unsubscribe(self, topic: bytes) -> None:
        """With ``xpub_manual``, undo `subscribe` for the peer whose request was received last.

        Raises ValueError as `subscribe` does.
        """
        self._subscriptions.remove(self._answering("unsubscribe"), as_bytes(topic, "topic"))

    def _answering(self, what: str) -> Pipe:
        self._check_open()
        if not self._manual:
            raise ValueError(f"{what}() on an XPub needs xpub_manual=True: otherwise peers subscribe themselves")
        if self._asking is None:
            raise ValueError(f"{what}() applies to the peer of the last received request: receive a request first")
        return self._asking

    def _recipients(self, message: Message) -> Mapping[Pipe, None]:
        found = super()._recipients(message)
        if self._favoured is not None:
            return {pipe: None for pipe in found if pipe is self._favoured}
        return found

    def _give(self, message: Message) -> None:
        super()._give(message)
        self._favoured = None

    # -- requests as messages ------------------------------------------------------------------------------

    def _show(self, pipe: Pipe, message: Message) -> None:
        """Receive ``message`` after all messages that were shown before, of all peers.

        A pipe is in the ring once for each of its messages. If peers took turns, the end of one subscription could
        overtake the start of another.
        """
        if self._closing:
            return
        pipe.ready.append(message)
        self._readable.append(pipe)
        self._rouse(pipe, 1)

    def _pop(self) -> Any:
        if not self._readable:
            raise trio.WouldBlock
        self._received += 1
        self._receive_turn -= 1
        pipe = self._asking = self._readable.popleft()
        message = pipe.ready.popleft()
        if pipe.inbox and pipe.connected:
            self._fetch(pipe)
        return message

    def _crowded(self) -> str:
        return ""  # subscribers are accepted even if the program receives no requests

    def _arrived(self, pipe: Pipe) -> None:
        if not self._closing or pipe.withheld:
            self._fetch(pipe)

    def _fetch(self, pipe: Pipe) -> None:
        """Apply the messages in the inbox, until ``receive_hwm`` messages wait to be received."""
        inbox = pipe.inbox
        inbox.asleep = True
        while inbox and len(pipe.ready) < inbox.capacity:
            self._heed(pipe, inbox.popleft())
        if not inbox:
            inbox.reopen()

    def _request(self, pipe: Pipe, request: Subscribe | Cancel) -> None:
        own = self.options
        topic = bytes(request)
        cancels = isinstance(request, Cancel)
        if self._manual:
            asked = self._asked.setdefault(pipe, {})
            if cancels:
                asked.pop(topic, None)
            else:
                asked[topic] = None
            tell = True
        elif cancels:
            tell = self._subscriptions.remove(pipe, topic) or own.xpub_verboser
        else:
            tell = self._subscribe(pipe, topic) or own.xpub_verbose or own.xpub_verboser
        if tell:
            self._show(pipe, (b"\0" if cancels else b"\1") + topic)

    def _upstream(self, pipe: Pipe, message: Message) -> None:
        self._show(pipe, message)

    def _pipe_lost(self, pipe: Pipe) -> None:
        while pipe.inbox and not self._closing:
            self._heed(pipe, pipe.inbox.popleft())
        if self._favoured is pipe:
            self._favoured = None
        super()._pipe_lost(pipe)

    def _unsubscribe_all(self, pipe: Pipe) -> None:
        forgotten = self._subscriptions.forget(pipe)
        if self._manual:  # the requests of the peer end, not the subscriptions that the program made
            forgotten = dict.fromkeys(self._asked.pop(pipe, ()), True)
        if self._favoured is pipe:
            self._favoured = None
        self._show_ends(pipe, forgotten)
        if pipe.ready and not pipe.connecting and not self._closing:
            while self._left and not next(iter(self._left)).ready:  # all requests of that peer were received
                del self._left[next(iter(self._left))]
            self._left[pipe] = None
            if len(self._left) >= 2 * _MOST_LEFT:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Drop the requests of the oldest peers that are gone. The requests have taken effect already."""
        left = [pipe for pipe in self._left if pipe.ready]
        drop, keep = left[:-_MOST_LEFT], left[-_MOST_LEFT:]
        self._left = dict.fromkeys(keep)
        for pipe in drop:
            self._drop(pipe, len(pipe.ready), UNRECEIVED)
            pipe.ready.clear()
        readable = [pipe for pipe in self._readable if pipe.ready]
        self._readable.clear()
        self._readable.extend(readable)

    def _show_ends(self, pipe: Pipe, forgotten: Mapping[bytes, bool]) -> None:
        """Show the end of each subscription in ``forgotten``, if no peer has the topic now."""
        for topic, was_last in forgotten.items():
            if was_last or self.options.xpub_verboser:
                self._show(pipe, b"\0" + topic)

    def _asked_by(self, pipe: Pipe) -> Collection[bytes]:
        return self._asked.get(pipe, ()) if self._manual else super()._asked_by(pipe)

    def _ask_no_more(self, pipe: Pipe, topics: Iterable[bytes], *, all_of_them: bool) -> None:
        if not self._manual:
            self._show_ends(pipe, {topic: self._subscriptions.remove(pipe, topic) for topic in topics})
            return
        # Only the program knows which subscriptions it made for these topics. It removes them when it receives this.
        asked = self._asked.get(pipe, {})
        for topic in topics:
            asked.pop(topic, None)
        if all_of_them:
            self._subscriptions.forget(pipe)
        self._show_ends(pipe, dict.fromkeys(topics, True))

    def _wanted_of(self, messages: list[Message], asked: Collection[bytes]) -> list[Message]:
        if self._manual:
            return messages if asked else []
        return super()._wanted_of(messages, asked)

    def _abandon(self, pipe: Pipe) -> None:
        """Keep the messages that were shown: they have taken effect."""


class XSub(Subscriber, FanOut, trio.abc.Channel[bytes]):
    """Receive as `Sub` does, and send subscriptions as messages.

    ``b"\\x01" + topic`` subscribes, and ``b"\\x00" + topic`` unsubscribes. Other messages go to all peers with room in
    their send queues, and wait for endpoints that are not connected yet. Received messages are not filtered here.
    """

    socket_type = "XSUB"
    fans_out = False

    async def send(self, message: bytes) -> None:
        """Send a subscription, an unsubscription or any other message to all peers.

        Does not wait for room: if the send queue of a peer is full, a message that is no subscription is dropped for
        that peer, counted and reported. A send is a checkpoint only once per turn of 256 messages. Raises TypeError if
        ``message`` is not bytes, ValueError if a topic has more than 1048566 bytes, and
        ``trio.ClosedResourceError`` when the socket is closed.
        """
        self._check_open()
        await self._take_turn()
        self.send_nowait(message)

    async def send_multipart(self, frames: Iterable[Buffer]) -> None:
        """Send a message of one or more frames as `send` does. Each frame that begins like a subscription is one."""
        self._check_open()
        await self._take_turn()
        self.send_multipart_nowait(frames)

    def send_nowait(self, message: bytes) -> None:
        """Send as `send` does, without a checkpoint."""
        self._check_open()
        self._give(as_frame(message))

    def send_multipart_nowait(self, frames: Iterable[Buffer]) -> None:
        """Send as `send_multipart` does, without a checkpoint."""
        self._check_open()
        self._give(as_message(frames))

    def _give(self, message: Message) -> None:
        requests, rest = requests_of(message, only_first=self.options.only_first_subscribe)
        for request in requests:
            check_topic(request)
        self._sent += 1
        self._send_turn -= 1
        for request in requests:
            self._request(request)
        if rest is not None:
            self._deliver(rest, [pipe for pipe in self._pipes if not pipe.retired])

    def _request(self, request: Subscribe | Cancel) -> None:
        topic = bytes(request)
        if isinstance(request, Subscribe):
            self._held.add(topic)
            self._ask(request)
            return
        last = topic in self._held and self._held.remove(topic)
        if last or self.options.xsub_verbose_unsubscribe:
            self._ask(request)
