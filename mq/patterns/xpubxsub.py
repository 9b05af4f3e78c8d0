"""XPUB and XSUB (RFC 29): PUB and SUB with the subscriptions in the program's hands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
"""Peers that are gone whose requests wait to be received, at least; those of twice as many never do."""


class XPub(Publisher, FairQueueMultipart, trio.abc.Channel[bytes]):
    """As `Pub`, and receive the subscriptions: ``b"\\x01" + topic``, and ``b"\\x00" + topic`` when one ends.

    Received is the first subscription to each topic and the end of the last, in the order in which they took effect;
    with ``xpub_verbose``, ``xpub_verboser`` and ``xpub_manual`` more. What peers send otherwise is received as well.
    When ``receive_hwm`` of a peer's messages wait to be received, its further ones wait to take effect.
    """

    socket_type = "XPUB"
    _translates = True
    _eager = True
    _in_order = False
    """What is received has its order already: the order in which it took effect."""
    _reads = False

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._manual = self.options.xpub_manual or self.options.xpub_manual_last_value
        self._asked: dict[Pipe, dict[bytes, None]] = {}
        """With ``xpub_manual``, the topics that each peer asked for, whatever it was given."""
        self._asking: Pipe | None = None
        """Whose request was received last."""
        self._left: dict[Pipe, None] = {}
        """Peers that are gone, of whose requests nobody had received all: oldest first."""
        self._favoured: Pipe | None = None
        """Who alone is to get the next message."""

    def subscribe(self, topic: bytes) -> None:
        """With ``xpub_manual``: subscribe the peer whose request was received last to ``topic``.

        Does nothing when that peer has gone. Raises ValueError without ``xpub_manual``, and when nothing was received.
        """
        pipe = self._answering("subscribe")
        topic = as_bytes(topic, "topic")
        if pipe.usable:
            self._subscribe(pipe, topic)
            if self.options.xpub_manual_last_value:
                self._favoured = pipe

    def unsubscribe(self, topic: bytes) -> None:
        """With ``xpub_manual``: undo what `subscribe` did for the peer whose request was received last."""
        self._subscriptions.remove(self._answering("unsubscribe"), as_bytes(topic, "topic"))

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

    # -- what is received ----------------------------------------------------------------------------------

    def _show(self, pipe: Pipe, message: Message) -> None:
        """Have ``message`` received after all that was shown before, from whichever peer.

        A pipe stands in the ring once for each of its messages: in turns, the end of a subscription would overtake the
        beginning of another.
        """
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
        return ""  # a program that receives no requests is no reason to turn subscribers away

    def _arrived(self, pipe: Pipe) -> None:
        if not self._closing:
            self._fetch(pipe)

    def _fetch(self, pipe: Pipe) -> None:
        """Heed what has come, unless the requests that nobody receives are too many."""
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
        super()._pipe_lost(pipe)

    def _unsubscribe_all(self, pipe: Pipe) -> None:
        forgotten = self._subscriptions.forget(pipe)
        if self._manual:  # what ends is what it asked for, not what it was given
            forgotten = dict.fromkeys(self._asked.pop(pipe, ()), True)
        if self._favoured is pipe:
            self._favoured = None
        if not self._closing:
            for topic, was_last in forgotten.items():
                if was_last or self.options.xpub_verboser:
                    self._show(pipe, b"\0" + topic)
            if pipe.ready and not pipe.connecting:
                while self._left and not next(iter(self._left)).ready:  # all of its requests were received
                    del self._left[next(iter(self._left))]
                self._left[pipe] = None
                if len(self._left) >= 2 * _MOST_LEFT:
                    self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Drop the requests of all but the latest peers that are gone: they have taken effect."""
        left = [pipe for pipe in self._left if pipe.ready]
        drop, keep = left[:-_MOST_LEFT], left[-_MOST_LEFT:]
        self._left = dict.fromkeys(keep)
        for pipe in drop:
            self._drop(pipe, len(pipe.ready), UNRECEIVED)
            pipe.ready.clear()
        readable = [pipe for pipe in self._readable if pipe.ready]
        self._readable.clear()
        self._readable.extend(readable)

    def _abandon(self, pipe: Pipe) -> None:
        """Keep what was shown: it has taken effect."""


class XSub(Subscriber, FanOut, trio.abc.Channel[bytes]):
    """As `Sub`, with subscriptions sent as messages: ``b"\\x01" + topic``, and ``b"\\x00" + topic`` to end one.

    Any other message goes upstream: to each peer, also to one that is yet to be connected to, as long as there is room
    in its queue. What is received is not filtered here.
    """

    socket_type = "XSUB"
    fans_out = False

    async def send(self, message: bytes) -> None:
        """Send a subscription, a cancellation or any other message to all peers.

        Waits for nobody: a peer whose queue is full misses what is no subscription, which is counted and reported. A
        send is a checkpoint only at every 256th message. Raises TypeError for anything but bytes, ValueError for a
        topic of more than 1048566 bytes, and ``trio.ClosedResourceError``.
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
