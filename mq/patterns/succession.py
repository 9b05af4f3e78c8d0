"""Which connections must wait for others? A later connection of a peer waits for messages of its earlier ones.

While messages of an ended connection wait to be received, messages of a connection that began after this end wait
behind them, if both connections have the same peer: the same ``Pipe.origin``. Other peers do not wait, and neither do
connections that existed at the same time.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from attrs import define, field

from ..pipe import Pipe


@define(eq=False)
class _Line:
    """The connections of one peer."""

    left: dict[Pipe, int] = field(factory=dict)
    """Ended connections with waiting messages, in the order of their ends, each with the number of its end."""
    behind: dict[Pipe, int] = field(factory=dict)
    """Waiting connections, in the order of their beginnings, each with the number of the last end before it."""
    ends: int = 0


class Succession:
    """Knows the ended connections with waiting messages, and the connections that wait behind them."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, _Line] = {}
        self.behind: dict[Pipe, _Line] = {}
        """The waiting connections, each with those of the same peer."""

    def began(self, pipe: Pipe) -> None:
        """Record that the connection of ``pipe`` begins now."""
        line = self._lines.get(pipe.origin)
        if line is not None and pipe not in line.left:
            line.behind[pipe] = line.ends
            self.behind[pipe] = line

    def ended(self, pipe: Pipe) -> None:
        """Record that the connection of ``pipe`` has ended, or is about to end, and has waiting messages."""
        if pipe.origin is None:
            return
        line = self._lines.setdefault(pipe.origin, _Line())
        if pipe not in line.left:
            line.ends += 1
            line.left[pipe] = line.ends

    def over(self, pipe: Pipe) -> Iterator[Pipe]:
        """Record that all messages of the ended ``pipe`` are received. Yields the connections that no longer wait."""
        line = self._lines.get(pipe.origin)
        if line is None:
            return
        line.left.pop(pipe, None)
        line.behind.pop(pipe, None)
        self.behind.pop(pipe, None)
        first = next(iter(line.left.values()), line.ends + 1)
        for each, last_end in list(line.behind.items()):
            if last_end >= first:
                break
            del line.behind[each], self.behind[each]
            yield each
        if not line.left:
            self._lines.pop(pipe.origin, None)

    def clear(self) -> None:
        """Forget all connections."""
        self._lines.clear()
        self.behind.clear()
