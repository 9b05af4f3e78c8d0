"""Which item of a pipeline is where? The book over everything between the source and the sink; no I/O.

    admit ─▶ waiting[0] ─take─▶ held ─finish─▶ waiting[1] ─▶ … ─▶ ready ─next_ready─▶ sink ─settle─▶ forgotten
                 ▲                │ └─fail────────────────────────▲
                 └──────lose──────┘ (its worker died)

An item is in the book from `admit` to `settle`, and the book holds at most `window` items: that bounds every
queue, the reorder buffer and the memory for deduplication at once, however long the source is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import attrs

from actors.errors import PipelineError

__all__ = ["Entry", "Ledger"]


@attrs.define(eq=False)
class Entry:
    """One item on its way: `value` is what its stage is given, after the last stage the result."""

    index: int
    item: Any
    value: Any
    stage: int = 0
    deaths: int = 0
    error: PipelineError | None = None

    @property
    def suspect(self) -> bool:
        """Whether a worker died while it held this item at this stage."""
        return self.deaths > 0


@attrs.define(eq=False)
class Ledger:
    """At least once in the stages, exactly once at the end.

    A suspect runs alone on its worker, so that a second death there has one cause: an innocent neighbour
    of a poisonous item is never blamed twice for the same poison.
    """

    stages: int
    window: int
    redeliveries: int = 3
    ordered: bool = False

    admitted: int = attrs.field(default=0, init=False)
    settled: int = attrs.field(default=0, init=False)
    redelivered: int = attrs.field(default=0, init=False)
    duplicates: int = attrs.field(default=0, init=False)
    suspects: int = attrs.field(default=0, init=False)
    closed: bool = attrs.field(default=False, init=False)
    _waiting: list[deque[Entry]] = attrs.field(init=False)
    _held: dict[tuple[int, int], dict[int, Entry]] = attrs.field(factory=dict, init=False)
    _ready: dict[int, Entry] = attrs.field(factory=dict, init=False)
    _next_index: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._waiting = [deque() for _ in range(self.stages)]

    @property
    def live(self) -> int:
        """Items between `admit` and `settle`."""
        return self.admitted - self.settled

    @property
    def has_room(self) -> bool:
        return self.live < self.window

    @property
    def done(self) -> bool:
        return self.closed and self.live == 0

    def close(self) -> None:
        """No more items will be admitted."""
        self.closed = True

    def admit(self, item: Any) -> None:
        """Enter the next item of the source; only while `has_room`."""
        assert self.has_room
        assert not self.closed
        self._waiting[0].append(Entry(self.admitted, item, item))
        self.admitted += 1

    def take(self, stage: int, worker: int, limit: int = 1) -> list[Entry]:
        """Hand up to `limit` waiting items to a worker; empty when it has to wait."""
        waiting = self._waiting[stage]
        held = self._held.setdefault((stage, worker), {})
        if not waiting or any(entry.suspect for entry in held.values()):
            return []
        if waiting[0].suspect:
            taken = [] if held else [waiting.popleft()]
        else:
            taken = []
            while waiting and len(taken) < limit and not waiting[0].suspect:
                taken.append(waiting.popleft())
        for entry in taken:
            held[entry.index] = entry
        return taken

    def finish(self, stage: int, worker: int, index: int, value: Any) -> bool:
        """Pass a result on; False for a duplicate: a result of an item this worker no longer holds."""
        entry = self._release(stage, worker, index)
        if entry is None:
            return False
        entry.value = value
        entry.stage += 1
        entry.deaths = 0
        if entry.stage < self.stages:
            self._waiting[entry.stage].append(entry)
        else:
            self._ready[index] = entry
        return True

    def fail(self, stage: int, worker: int, index: int, error: PipelineError) -> bool:
        """Let an item skip the rest of its stages; it comes out at its place, with its error."""
        entry = self._release(stage, worker, index)
        if entry is None:
            return False
        entry.error = error
        self._ready[index] = entry
        return True

    def lose(self, stage: int, worker: int, indexes: Iterable[int]) -> list[Entry]:
        """Put items of a dead worker back to the front; those lost too often stay held and are returned."""
        held = self._held.get((stage, worker), {})
        given_up = []
        for index in sorted(indexes, reverse=True):
            entry = held.get(index)
            if entry is None:
                continue
            self.suspects += not entry.suspect
            entry.deaths += 1
            if entry.deaths > self.redeliveries:
                given_up.append(entry)
                continue
            del held[index]
            self._waiting[stage].appendleft(entry)
            self.redelivered += 1
        return given_up

    def next_ready(self) -> Entry | None:
        """The next item for the sink: in the order of the source if `ordered`, else as they finish."""
        index = self._next_index if self.ordered else next(iter(self._ready), -1)
        entry = self._ready.pop(index, None)
        if entry is not None and self.ordered:
            self._next_index += 1
        return entry

    def settle(self) -> None:
        """Forget an item that `next_ready` gave: the sink has it."""
        self.settled += 1

    def idle(self, stage: int, worker: int) -> bool:
        """Whether this worker holds nothing."""
        return not self._held.get((stage, worker))

    def more_may_come(self, stage: int) -> bool:
        """Whether items are still on their way to this stage."""
        if not self.closed or any(self._waiting[:stage]):
            return True
        return any(held for (number, _), held in self._held.items() if number < stage)

    def waiting(self, stage: int) -> int:
        """How many items wait for a worker of this stage."""
        return len(self._waiting[stage])

    def _release(self, stage: int, worker: int, index: int) -> Entry | None:
        entry = self._held.get((stage, worker), {}).pop(index, None)
        if entry is None:
            self.duplicates += 1
        else:
            self.suspects -= entry.suspect
        return entry
