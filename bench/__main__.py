"""What does `python -m bench` do? It runs every scenario in turns and prints one line per comparison."""

import argparse
import fnmatch
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio

from bench import inproc, latency, memory, patterns, throughput
from bench.compiled import NotCompiled
from bench.report import Line, lines, write_json
from bench.scenario import Scenario
from bench.turn import BrokenRun, take_turn

SCENARIOS = (*throughput.SCENARIOS, *latency.SCENARIOS, *inproc.SCENARIOS, *memory.SCENARIOS, *patterns.SCENARIOS)

DESCRIPTION = """\
Compare mq with pyzmq and with bare Trio. The libraries alternate within one run (mq, rival, mq, rival, ...),
and each turn starts new processes. A line shows the median of mq, the median of the rival, and the ratio
mq/rival. Only the ratio can be compared with other machines, and only if the machine was idle."""

EPILOG = """\
Exit status: 0 if every scenario ran, whatever the ratios; 1 if --check is given and a target was missed;
2 if a scenario could not be run; 130 if interrupted."""


@attrs.define
class Progress:
    """A note of the running scenario, on a terminal only. The note is erased before a line is printed."""

    scenarios: int
    rounds: int
    visible: bool = attrs.field(factory=sys.stderr.isatty)

    def note(self, index: int, scenario: Scenario, turn: int, library: str) -> None:
        self._write(f"[{index}/{self.scenarios}] {scenario.name}, round {turn} of {self.rounds}: {library}")

    def erase(self) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        if self.visible:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m bench",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages, and three rounds")
    parser.add_argument("--rounds", type=positive, metavar="N", help="turns per library (default 5; 3 with --quick)")
    parser.add_argument("--only", metavar="PATTERN", help='only scenarios whose name matches: inproc, "tcp*KiB"')
    parser.add_argument("--json", type=Path, metavar="FILE", help="write medians, ratios and rounds to FILE")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a target is missed")
    parser.add_argument("--list", action="store_true", help="print the names of the scenarios and stop")
    options = parser.parse_args(argv)
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.scenarios = chosen(options.only)
    if not options.scenarios:
        parser.error(f"no scenario matches {options.only!r}; see --list")
    return options


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def chosen(pattern: str | None) -> list[Scenario]:
    return [each for each in SCENARIOS if fnmatch.fnmatchcase(each.name, f"*{pattern or ''}*")]


async def play(
    scenario: Scenario, index: int, progress: Progress, *, quick: bool
) -> tuple[list[Line], dict[str, NotCompiled]]:
    """Return a line for each comparison, and why the lines of some rivals are missing."""
    turns: dict[str, list[dict[str, float]]] = {library: [] for library in scenario.libraries}
    missing: dict[str, NotCompiled] = {}
    for turn in range(1, progress.rounds + 1):
        for library, metrics in turns.items():
            if library in missing:
                continue
            progress.note(index, scenario, turn, library)
            try:
                metrics.append(await take_turn(scenario, library, quick=quick))
            except NotCompiled as reason:
                missing[library] = reason
    return lines(scenario, turns), missing


async def run(options: argparse.Namespace) -> int:
    progress = Progress(len(options.scenarios), options.rounds)
    report: list[Line] = []
    broken: list[str] = []
    try:
        for index, scenario in enumerate(options.scenarios, 1):
            try:
                played, missing = await play(scenario, index, progress, quick=options.quick)
            except BrokenRun as failure:
                broken.append(scenario.name)
                progress.erase()
                print(f"{scenario.name:<24} BROKEN: {failure}", flush=True)
            else:
                report += played
                progress.erase()
                said = [f"{scenario.name:<24} MISSING: {rival}: {reason}" for rival, reason in missing.items()]
                print(*played, *said, sep="\n", flush=True)
    finally:
        progress.erase()
    if options.json is not None:
        write_json(options.json, report, rounds=options.rounds, quick=options.quick, broken=broken)
    if broken:
        return 2
    return int(options.check and any(each.met is False for each in report))


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    if options.list:
        print(*(scenario.name for scenario in options.scenarios), sep="\n")
        return 0
    status = 130
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # clean up as after Ctrl-C
    try:
        status = trio.run(run, options)
    except* KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
