"""Which connections must wait for others? A later connection of a peer waits for what its earlier ones have left.

While messages of an ended connection wait to be received, what the same peer sends on a connection that began after the
end stays behind them. Connections have the same peer when they have the same ``Pipe.origin``. Other peers are not held
up, and neither are connections that existed at the same time.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from attrs import define, field

from ..pipe import Pipe


@define(eq=False)
class _Line:
    """The connections of one peer."""

    left: dict[Pipe, int] = field(factory=dict)
    """Those that have ended and left messages, in the order of their ends, which are numbered."""
    behind: dict[Pipe, int] = field(factory=dict)
    """Those that wait, in the order of their beginnings, each with the number of the last end before."""
    ends: int = 0


class Succession:
    """The connections that have left messages, and those that wait until these messages are received."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, _Line] = {}
        self.behind: dict[Pipe, _Line] = {}
        """Those that wait."""

    def began(self, pipe: Pipe) -> None:
        """Note that the connection of ``pipe`` begins now."""
        line = self._lines.get(pipe.origin)
        if line is not None and pipe not in line.left:
            line.behind[pipe] = line.ends
            self.behind[pipe] = line

    def ended(self, pipe: Pipe) -> None:
        """Note that the connection of ``pipe`` has ended, or will at once, and that messages are left."""
        if pipe.origin is None:
            return
        line = self._lines.setdefault(pipe.origin, _Line())
        if pipe not in line.left:
            line.ends += 1
            line.left[pipe] = line.ends

    def over(self, pipe: Pipe) -> Iterator[Pipe]:
        """Note that nothing more comes from ``pipe``, which has ended; yield those that need not wait any more."""
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
        """Forget all."""
        self._lines.clear()
        self.behind.clear()
