"""Who wants which topic? Topics by prefix: those that a publisher's peers hold, and those that a subscriber holds.

A message matches a topic that it starts with. To find the topics of a message, its beginnings are looked up, one for
each length that some topic has: that takes a time which grows with the length of topics, not with their number.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import TypeVar

from ..message import Message, first_frame
from ..pipe import Pipe, nobody

Pipes = dict[Pipe, None]
Recipients = frozenset[Pipe]
Found = TypeVar("Found")

_REMEMBERED = 20_000
"""Beginnings of messages that are remembered, at most."""

_MEMORABLE = 1000
"""Bytes of a beginning that is remembered, at most: a peer's longest topic must not cost us memory without end."""


class _Remembered(dict[bytes, Found]):
    """What is known of beginnings of messages, found out when first asked for."""

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
    """The lengths of topics that there are, in order."""

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
        """The length that most topics have."""
        return max(self, key=self._counts.__getitem__, default=0)


class Subscriptions:
    """What the peers of a publisher have subscribed to: a set of topics for each.

    Who gets a message is remembered by its beginning, as long as the longest topic, until something changes: most
    programs say much about a few things.
    """

    def __init__(self, before_change: Callable[[], object] = nobody) -> None:
        self.topics: dict[bytes, Pipes] = {}
        self.lengths = Lengths()
        self.beginning = slice(0)
        """As much of a message as the longest topic has."""
        self.remembered = _Remembered(self._find)
        """Who gets what, by the `beginning` of it."""
        self._sets: dict[Recipients, Recipients] = {}
        """What is the same set of peers for many topics is one object."""
        self._before_change = before_change
        """Called while it is still known who wanted what."""
        self._of: dict[Pipe, dict[bytes, None]] = {}

    @property
    def peer_count(self) -> int:
        """How many peers have subscribed to anything."""
        return len(self._of)

    def add(self, pipe: Pipe, topic: bytes) -> bool:
        """Subscribe ``pipe`` to ``topic``; return whether it is the first to have it."""
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
        """Undo `add`; return whether nobody has ``topic`` now, also when nobody had it."""
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
        """Remove all that ``pipe`` has; return each of these topics with whether nobody has it now."""
        return {topic: self.remove(pipe, topic) for topic in list(self._of.get(pipe, ()))}

    def _changed(self) -> None:
        self.beginning = slice(self.lengths[-1] if self.lengths else 0)
        self.remembered.clear()
        self._sets.clear()

    def recipients(self, topic: bytes) -> Recipients:
        """As `match`, and remember it."""
        return self.remembered[topic[self.beginning]]

    def recipients_of(self, messages: list[Message]) -> list[Recipients]:
        """Return the `recipients` for the first frame of each of ``messages``."""
        beginning, remembered = self.beginning, self.remembered
        try:
            if messages[0][beginning] == messages[-1][beginning]:
                # What the first and the last in order begin with, all do.
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
        """Return who wants a message that starts with ``topic``."""
        found: Pipes = {}
        for length in self.lengths:
            if length > len(topic):
                break
            found.update(self.topics.get(topic[:length], ()))
        return found


_FEW = 8
"""Topics up to which one call that tries them all is faster than looking up beginnings."""


class Topics:
    """What a subscriber has subscribed to, each topic as often as it did."""

    def __init__(self) -> None:
        # Before CPython 3.14, the garbage collector looks through a Counter, and not through this.
        self._counts: dict[bytes, int] = {}
        self._lengths = Lengths()
        self._few: tuple[bytes, ...] | None = ()
        self._longest = 0
        self._usual: int | None = None
        """The length that most of them have, once it is asked for."""
        self._matches = _Remembered(self._find)

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, topic: bytes) -> bool:
        return topic in self._counts

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._counts)

    def add(self, topic: bytes) -> bool:
        """Add ``topic``; return whether it is new."""
        self._counts[topic] = self._counts.get(topic, 0) + 1
        if self._counts[topic] > 1:
            return False
        self._lengths.add(len(topic))
        self._changed()
        return True

    def remove(self, topic: bytes) -> bool:
        """Undo one `add`; return whether that was the last. Raises KeyError."""
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
        """Return whether ``message`` starts with one of the topics."""
        if self._few is not None:
            return message.startswith(self._few)
        return message[: self._usual_length()] in self._counts or self._matches[message[: self._longest]]

    def _find(self, beginning: bytes) -> bool:
        counts = self._counts
        return any(beginning[:length] in counts for length in self._lengths)

    def _usual_length(self) -> int:
        """Return the length that most topics have: most messages match one of those."""
        if self._usual is None:
            self._usual = self._lengths.usual
        return self._usual

    def sift(self, batch: list[Message]) -> list[Message]:
        """Return the messages of ``batch`` that match by their first frame."""
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
            # What the first and the last in order begin with, all do: almost always that is a topic.
            low, high = min(firsts), max(firsts)
            if any(low.startswith(topic) and high.startswith(topic) for topic in few):
                return batch
        return [message for message, first in zip(batch, firsts, strict=True) if first.startswith(few)]
