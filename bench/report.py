"""What does a run report? One line per comparison: medians, their ratio, and whether the target is met."""

import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from bench.scenario import OURS, Comparison, Scenario, Target

Turns = Mapping[str, Sequence[Mapping[str, float]]]
"""The metrics of each turn in order, by library."""

SCALES = {
    "/s": ((1e6, "M/s"), (1e3, "k/s"), (1, "/s")),
    "s": ((1e-3, "ms"), (1e-6, "us")),
    "B": ((1 << 20, "MiB"), (1 << 10, "KiB")),
}


@attrs.frozen
class Line:
    """`mq` against one rival: the figures of every round in order."""

    name: str
    rival: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float]
    target: Target | None = None

    @property
    def our_median(self) -> float:
        return statistics.median(self.ours)

    @property
    def their_median(self) -> float:
        return statistics.median(self.theirs)

    @property
    def ratio(self) -> float:
        """`mq` divided by the rival: above 1 is better for rates, below 1 for times and sizes."""
        return self.our_median / self.their_median

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.target.met(self.ratio)

    def __str__(self) -> str:
        verdict = "" if self.target is None else f"({self.target} {'ok' if self.met else 'MISSED'})"
        ours, theirs = quantity(self.our_median, self.unit), quantity(self.their_median, self.unit)
        sides = f"{ours:>11}   {self.rival:>14}{theirs:>11}"
        return f"{self.name:<24}{sides}   {self.ratio:6.2f}x  {verdict}".rstrip()

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "against": self.rival,
            "unit": self.unit,
            "ours": self.our_median,
            "theirs": self.their_median,
            "ratio": self.ratio,
            "target": None if self.target is None else str(self.target),
            "met": self.met,
            "rounds": {"ours": list(self.ours), "theirs": list(self.theirs)},
        }


def quantity(value: float, unit: str) -> str:
    """3_100_000, "/s" -> "3.10 M/s": three significant digits."""
    scale, name = next((pair for pair in SCALES[unit] if abs(value) >= pair[0]), SCALES[unit][-1])
    scaled = value / scale
    return f"{scaled:.{max(0, 3 - len(str(int(abs(scaled)))))}f} {name}"


def line(scenario: Scenario, comparison: Comparison, turns: Turns) -> Line:
    several = len({each.metric for each in scenario.comparisons}) > 1
    return Line(
        name=f"{scenario.name} {comparison.metric}" if several else scenario.name,
        rival=comparison.rival,
        unit=comparison.unit,
        ours=[metrics[comparison.metric] for metrics in turns[OURS]],
        theirs=[metrics[comparison.metric] for metrics in turns[comparison.rival]],
        target=comparison.target,
    )


def lines(scenario: Scenario, turns: Turns) -> list[Line]:
    """Return a line for each comparison with a rival that played."""
    return [line(scenario, comparison, turns) for comparison in scenario.comparisons if turns[comparison.rival]]


def write_json(file: Path, report: Sequence[Line], **facts: object) -> None:
    """Write the lines and the facts about the run."""
    machine = {"python": platform.python_version(), "platform": platform.platform()}
    document = {**machine, **facts, "lines": [each.as_json() for each in report]}
    file.write_text(json.dumps(document, indent=2) + "\n")
