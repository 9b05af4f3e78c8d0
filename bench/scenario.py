"""What is compared? A scenario is a row: roles to play, the work to do, and the rivals to play it too."""

from collections.abc import Sequence

import attrs

OURS = "mq"

FEWER = 10
OURS_WITH_FEWER = f"mq, {FEWER} peers"
"""Ours as its own rival, with fewer peers: does what a message costs grow with their number?"""

MINIMUM, MAXIMUM = ">=", "<="


@attrs.frozen
class Target:
    """A bound on the ratio ours/theirs: at least the limit where more is better, at most where less is."""

    bound: str = attrs.field(validator=attrs.validators.in_((MINIMUM, MAXIMUM)))
    limit: float

    def met(self, ratio: float) -> bool:
        return ratio >= self.limit if self.bound == MINIMUM else ratio <= self.limit

    def __str__(self) -> str:
        return f"{self.bound} {self.limit:g}"


@attrs.frozen
class Comparison:
    """One line of the report: a metric that every turn of the scenario reports, set against one rival's."""

    metric: str
    unit: str
    rival: str
    target: Target | None = None


@attrs.frozen
class Scenario:
    """One row. Each role is played by a process of its own; two of them hear what the other says.

    `count` messages are measured (`quick_count` with --quick), after `warm_up` of the same size.
    """

    name: str
    roles: tuple[str, ...]
    transport: str
    size: int
    count: int
    quick_count: int
    comparisons: Sequence[Comparison]
    warm_up: int = 1000
    fans: int = 1
    topics: int = 1
    window: int = 1

    @property
    def libraries(self) -> tuple[str, ...]:
        """Who takes a turn in each round, in this order; ours is always the first."""
        return (OURS, *dict.fromkeys(comparison.rival for comparison in self.comparisons))


def readable(size: int) -> str:
    """1024 -> "1 KiB"."""
    for unit, scale in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{size // scale} {unit}"
    return f"{size} B"
