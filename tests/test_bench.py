"""Does the bench tell the truth? Its arithmetic, a tiny run of it, and what becomes of its processes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from bench.__main__ import SCENARIOS, Progress, chosen, play
from bench.compiled import IN_C, NotCompiled
from bench.report import Line, lines, quantity
from bench.scenario import MAXIMUM, MINIMUM, Comparison, Scenario, Target
from bench.task import Task
from bench.turn import BrokenRun, take_turn

ROOT = Path(__file__).parent.parent


def scenario(*comparisons: Comparison, roles: tuple[str, ...] = ("pull", "push")) -> Scenario:
    return Scenario("a name", roles, "tcp", 16, 100, 50, comparisons, warm_up=10)


def test_a_line_compares_the_medians_of_all_rounds() -> None:
    line = Line("push-pull", "pyzmq", "/s", [3e6, 9e6, 1e6], [2e6, 1e6, 2e6], Target(MINIMUM, 1.5))
    assert (line.our_median, line.their_median, line.ratio, line.met) == (3e6, 2e6, 1.5, True)
    assert str(line).split() == [
        "push-pull",
        "3.00",
        "M/s",
        "pyzmq",
        "2.00",
        "M/s",
        "1.50x",
        "(>=",
        "1.5",
        "ok)",
    ]
    assert line.as_json()["rounds"] == {"ours": [3e6, 9e6, 1e6], "theirs": [2e6, 1e6, 2e6]}


@pytest.mark.parametrize(
    ("bound", "ratio", "met"),
    [(MINIMUM, 1.4, False), (MINIMUM, 1.5, True), (MAXIMUM, 1.5, True), (MAXIMUM, 1.6, False)],
)
def test_a_target_bounds_the_ratio_from_one_side(bound: str, ratio: float, met: bool) -> None:
    assert Target(bound, 1.5).met(ratio) is met


def test_a_line_without_a_target_passes_no_judgement() -> None:
    line = Line("memory", "pyzmq", "B", [1024], [2048])
    assert line.met is None
    assert str(line).endswith("0.50x")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3_141_592, "/s", "3.14 M/s"),
        (45_200, "/s", "45.2 k/s"),
        (999, "/s", "999 /s"),
        (61.24e-6, "s", "61.2 us"),
        (0.00204, "s", "2.04 ms"),
        (123e-9, "s", "0.12 us"),
        (11_383_000, "B", "10.9 MiB"),
    ],
)
def test_quantities_are_printed_with_three_digits(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_each_rival_and_metric_has_a_line_of_its_own() -> None:
    row = scenario(*(Comparison(metric, "s", rival) for rival in ("a", "b") for metric in ("p50", "p99")))
    assert row.libraries == ("mq", "a", "b")
    turns = {name: [{"p50": number, "p99": 2 * number}] for name, number in (("mq", 1), ("a", 2), ("b", 4))}
    assert [(line.name, line.rival, line.ratio) for line in lines(row, turns)] == [
        ("a name p50", "a", 0.5),
        ("a name p99", "a", 0.5),
        ("a name p50", "b", 0.25),
        ("a name p99", "b", 0.25),
    ]


def test_scenarios_have_names_of_their_own_and_are_chosen_by_them() -> None:
    assert len({each.name for each in SCENARIOS}) == len(SCENARIOS)
    assert chosen(None) == list(SCENARIOS)
    assert [each.name for each in chosen("tcp*KiB")] == ["push-pull tcp 1 KiB", "push-pull tcp 64 KiB"]


@pytest.mark.parametrize("library", ["mq", "pyzmq"])
async def test_a_turn_moves_its_messages_between_two_processes(library: str) -> None:
    metrics = await take_turn(scenario(), library, quick=True)
    assert metrics.keys() == {"rate"}
    assert metrics["rate"] > 0


async def test_a_c_program_takes_its_turn_where_it_can_be_compiled() -> None:
    try:
        metrics = await take_turn(scenario(), IN_C, quick=True)
    except NotCompiled as reason:
        pytest.skip(str(reason))
    assert metrics["rate"] > 0


async def test_the_rows_against_a_c_program_say_why_they_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    row = scenario(Comparison("rate", "/s", IN_C))
    played, missing = await play(row, 1, Progress(1, rounds=2, visible=False), quick=True)
    assert played == []
    assert str(missing[IN_C]) == "there is no C compiler; install one, such as Debian's gcc"


async def test_a_turn_whose_peer_fails_is_broken_and_shows_why() -> None:
    with pytest.raises(BrokenRun, match="KeyError: 'no such role'"):
        await take_turn(scenario(roles=("pull", "no such role")), "pyzmq", quick=True)


def test_a_peer_ends_when_the_bench_is_gone() -> None:
    task = json.dumps(attrs.asdict(Task("tcp://127.0.0.1:*", size=16, count=10, warm_up=1)))
    command = [sys.executable, "-m", "bench.peer", "pyzmq", "pull", task]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        assert peer.stdout.readline().startswith(b"tcp://127.0.0.1:")  # it now waits in recv() for ever
        peer.stdin.close()
        assert peer.wait() == 3


async def test_a_cancelled_turn_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    peers: list[trio.Process] = []
    open_process = trio.lowlevel.open_process

    async def remember(*args: Any, **kwargs: Any) -> trio.Process:
        process: trio.Process = await open_process(*args, **kwargs)
        peers.append(process)
        if len(peers) == 2:
            turn.cancel()
        return process

    monkeypatch.setattr(trio.lowlevel, "open_process", remember)
    with trio.CancelScope() as turn:
        await take_turn(scenario(), "pyzmq", quick=True)
    assert turn.cancelled_caught
    assert [peer.returncode for peer in peers] == [-9, -9]


def test_a_quick_run_writes_the_ratios_as_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    command = ["-m", "bench", "--quick", "--rounds", "1", "--only", "inproc", "--json", str(file)]
    run = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    document = json.loads(file.read_text())
    assert [line["name"] for line in document["lines"]] == ["inproc one loop", "inproc two threads"]
    assert len(run.stdout.splitlines()) == 2
    for line in document["lines"]:
        assert line["ours"] > 0
        assert line["theirs"] > 0
        assert line["ratio"] == pytest.approx(line["ours"] / line["theirs"])
        assert line["rounds"]["ours"] == [line["ours"]]


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "nothing"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "no scenario matches 'nothing'" in run.stderr
