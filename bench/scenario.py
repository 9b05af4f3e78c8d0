"""What is compared? A scenario is a row: the roles, their work, and the rivals that do the same work."""

from collections.abc import Sequence

import attrs

OURS = "mq"

FEWER = 10
OURS_WITH_FEWER = f"mq, {FEWER} peers"
"""`mq` as its own rival with fewer peers: does the cost of a message grow with the number of peers?"""

MINIMUM, MAXIMUM = ">=", "<="


@attrs.frozen
class Target:
    """A bound on the ratio mq/rival: a minimum if more is better, a maximum if less is better."""

    bound: str = attrs.field(validator=attrs.validators.in_((MINIMUM, MAXIMUM)))
    limit: float

    def met(self, ratio: float) -> bool:
        return ratio >= self.limit if self.bound == MINIMUM else ratio <= self.limit

    def __str__(self) -> str:
        return f"{self.bound} {self.limit:g}"


@attrs.frozen
class Comparison:
    """One line of the report: a metric of every turn of the scenario, compared with one rival."""

    metric: str
    unit: str
    rival: str
    target: Target | None = None


@attrs.frozen
class Scenario:
    """One row. Each role runs in its own process. If there are two roles, each receives the lines of the other.

    `count` messages are measured (`quick_count` with --quick), after `warm_up` messages of the same size.
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
    cores: int = 0
    """All processes of a turn share this many cores of the machine; 0 means all cores."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries that take a turn in each round, in this order; `mq` is always the first."""
        return (OURS, *dict.fromkeys(comparison.rival for comparison in self.comparisons))


def readable(size: int) -> str:
    """1024 -> "1 KiB"."""
    for unit, scale in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{size // scale} {unit}"
    return f"{size} B"
