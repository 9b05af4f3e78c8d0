"""Which peer subscribes to which topic? The topics of a publisher's peers, and the topics of a subscriber.

A message matches a topic that is a prefix of it. To find the topics of a message, one prefix is looked up for each
length that a topic has. So the time of a look-up depends on the lengths of the topics, not on their number.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import TypeVar

from ..message import Message, first_frame
from ..pipe import Pipe, nobody

Pipes = dict[Pipe, None]
Recipients = frozenset[Pipe]
Found = TypeVar("Found")

_REMEMBERED = 20_000
"""The largest number of prefixes whose result is cached."""

_MEMORABLE = 1000
"""The longest prefix that is cached, in bytes. This bounds the memory that the topics of peers can use."""


class _Remembered(dict[bytes, Found]):
    """A cache of results by prefix. A missing result is computed when it is first needed."""

    def __init__(self, find: Callable[[bytes], Found]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, beginning: bytes) -> Found:
        if len(beginning) > _MEMORABLE:
            return self._find(beginning)
        if len(self) >= _REMEMBERED:
            self.clear()
        found = self[beginning] = self._find(beginning)
        return found


class Lengths(list[int]):
    """The sorted lengths of all topics, each length once."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[int] = Counter()

    def add(self, length: int) -> None:
        self._counts[length] += 1
        if self._counts[length] == 1:
            insort(self, length)

    def discard(self, length: int) -> None:
        self._counts[length] -= 1
        if not self._counts[length]:
            del self._counts[length]
            self.remove(length)

    @property
    def usual(self) -> int:
        """The most frequent length of topics."""
        return max(self, key=self._counts.__getitem__, default=0)


class Subscriptions:
    """The subscriptions of the peers of a publisher: a set of topics for each peer.

    The recipients of a message are cached by its prefix of the length of the longest topic, until a subscription
    changes. Most programs publish many messages on few topics.
    """

    def __init__(self, before_change: Callable[[], object] = nobody) -> None:
        self.topics: dict[bytes, Pipes] = {}
        self.lengths = Lengths()
        self.beginning = slice(0)
        """Cuts a message to the length of the longest topic."""
        self.remembered = _Remembered(self._find)
        """The recipients by prefix, which `beginning` cuts."""
        self._sets: dict[Recipients, Recipients] = {}
        """Equal sets of recipients, so that they share one object."""
        self._before_change = before_change
        """Called before each change of the subscriptions."""
        self._of: dict[Pipe, dict[bytes, None]] = {}

    @property
    def peers(self) -> Collection[Pipe]:
        """The peers with at least one subscription."""
        return self._of

    def topics_of(self, pipe: Pipe) -> Collection[bytes]:
        """Return the topics of ``pipe``."""
        return self._of.get(pipe, ())

    def add(self, pipe: Pipe, topic: bytes) -> bool:
        """Subscribe ``pipe`` to ``topic``. Returns whether no peer had subscribed to it."""
        self._before_change()
        first = topic not in self.topics
        if first:
            self.topics[topic] = {}
            self.lengths.add(len(topic))
        self.topics[topic][pipe] = None
        self._of.setdefault(pipe, {})[topic] = None
        self._changed()
        return first

    def remove(self, pipe: Pipe, topic: bytes) -> bool:
        """Undo `add`. Returns whether no peer subscribes to ``topic`` now, also if none did before."""
        pipes = self.topics.get(topic)
        if pipes is None:
            return True
        self._before_change()
        pipes.pop(pipe, None)
        held = self._of.get(pipe, {})
        held.pop(topic, None)
        if not held:
            self._of.pop(pipe, None)
        if not pipes:
            del self.topics[topic]
            self.lengths.discard(len(topic))
        self._changed()
        return not pipes

    def forget(self, pipe: Pipe) -> dict[bytes, bool]:
        """Remove all topics of ``pipe``. Returns for each topic whether no peer subscribes to it now."""
        return {topic: self.remove(pipe, topic) for topic in list(self._of.get(pipe, ()))}

    def _changed(self) -> None:
        self.beginning = slice(self.lengths[-1] if self.lengths else 0)
        self.remembered.clear()
        self._sets.clear()

    def recipients(self, topic: bytes) -> Recipients:
        """Return the pipes that `match` finds, from the cache if possible."""
        return self.remembered[topic[self.beginning]]

    def recipients_of(self, messages: list[Message]) -> list[Recipients]:
        """Return the `recipients` of each of ``messages``, by its first frame."""
        beginning, remembered = self.beginning, self.remembered
        try:
            if messages[0][beginning] == messages[-1][beginning]:
                # If the smallest and the largest message share a prefix, all messages have it.
                low, high = min(messages), max(messages)
                if low[beginning] == high[beginning]:
                    return [remembered[low[beginning]]] * len(messages)  # type: ignore[index]
            return list(map(remembered.__getitem__, map(itemgetter(beginning), messages)))
        except TypeError:  # a message of several frames is among them
            return [remembered[first_frame(message)[beginning]] for message in messages]

    def _find(self, topic: bytes) -> Recipients:
        found = frozenset(self.match(topic))
        return self._sets.setdefault(found, found)

    def match(self, topic: bytes) -> Mapping[Pipe, None]:
        """Return the pipes that subscribe to a prefix of ``topic``."""
        found: Pipes = {}
        for length in self.lengths:
            if length > len(topic):
                break
            found.update(self.topics.get(topic[:length], ()))
        return found


_FEW = 8
"""Up to this many topics, one `startswith` call is faster than looking up prefixes."""


class Topics:
    """The topics of a subscriber, each with the number of its subscriptions."""

    def __init__(self, topics: Iterable[bytes] = ()) -> None:
        # Before CPython 3.14, the garbage collector traverses a Counter, but not a dict of bytes and ints.
        self._counts: dict[bytes, int] = {}
        self._lengths = Lengths()
        self._few: tuple[bytes, ...] | None = ()
        self._longest = 0
        self._usual: int | None = None
        """The most frequent length of topics; None until it is computed."""
        self._matches = _Remembered(self._find)
        for topic in topics:
            self.add(topic)

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, topic: bytes) -> bool:
        return topic in self._counts

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._counts)

    def add(self, topic: bytes) -> bool:
        """Add one subscription to ``topic``. Returns whether the topic is new."""
        self._counts[topic] = self._counts.get(topic, 0) + 1
        if self._counts[topic] > 1:
            return False
        self._lengths.add(len(topic))
        self._changed()
        return True

    def remove(self, topic: bytes) -> bool:
        """Undo one `add`. Returns whether it was the last one. Raises KeyError for an unknown topic."""
        if topic not in self._counts:
            raise KeyError(topic)
        self._counts[topic] -= 1
        if self._counts[topic]:
            return False
        del self._counts[topic]
        self._lengths.discard(len(topic))
        self._changed()
        return True

    def _changed(self) -> None:
        self._few = tuple(self._counts) if len(self._counts) <= _FEW else None
        self._longest = self._lengths[-1] if self._lengths else 0
        self._usual = None
        self._matches.clear()

    def match(self, message: bytes) -> bool:
        """Return whether one of the topics is a prefix of ``message``."""
        if self._few is not None:
            return message.startswith(self._few)
        return message[: self._usual_length()] in self._counts or self._matches[message[: self._longest]]

    def _find(self, beginning: bytes) -> bool:
        counts = self._counts
        return any(beginning[:length] in counts for length in self._lengths)

    def _usual_length(self) -> int:
        """Return the most frequent length of topics. Most messages match a topic of this length."""
        if self._usual is None:
            self._usual = self._lengths.usual
        return self._usual

    def sift(self, batch: list[Message]) -> list[Message]:
        """Return the messages of ``batch`` whose first frame matches a topic."""
        if b"" in self._counts:
            return batch
        try:
            return self._sift(batch, batch)  # type: ignore[arg-type]
        except (AttributeError, TypeError):  # a message of several frames is among them
            return self._sift(batch, list(map(first_frame, batch)))

    def _sift(self, batch: list[Message], firsts: list[bytes]) -> list[Message]:
        few = self._few
        if few is None:
            usual = slice(self._usual_length())
            hits = list(map(self._counts.__contains__, map(itemgetter(usual), firsts)))
            if False not in hits:
                return batch
            matches, longest = self._matches, self._longest
            return [
                message
                for message, first, hit in zip(batch, firsts, hits, strict=True)
                if hit or matches[first[:longest]]
            ]
        if few and firsts:
            # If a topic is a prefix of the smallest and the largest message, all messages match: the usual case.
            low, high = min(firsts), max(firsts)
            if any(low.startswith(topic) and high.startswith(topic) for topic in few):
                return batch
        return [message for message, first in zip(batch, firsts, strict=True) if first.startswith(few)]
