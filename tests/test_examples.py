"""Do the small examples print what they promise, and end when they are told to?"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
PATTERNS = ("broker", "reliable_request", "work_queue", "last_value", "worker_heartbeats", "key_value")
"""Those that show a pattern of ZeroMQ's guide."""

INTERRUPTED = """
import builtins, os, runpy, signal, sys
say = print
def say_and_press_ctrl_c(*args, **kwargs):
    say(*args, **kwargs)
    builtins.print = say
    os.killpg(0, signal.SIGINT)
builtins.print = say_and_press_ctrl_c
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs an example, and interrupts it when it has printed its first line."""


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments]


def complaints(errors: str) -> list[str]:
    """Return what is said in ``errors``, but for who is waited for: where processes start slowly, that is no fault."""
    return [line for line in errors.splitlines() if "() waits: " not in line]


def lines_of(name: str, directory: Path, *arguments: str) -> list[str]:
    """Run an example that must end well and complain about nothing; return the lines that it prints."""
    done = subprocess.run(
        command(name, *arguments), capture_output=True, text=True, timeout=120, cwd=directory, check=False
    )
    assert complaints(done.stderr) == []
    assert done.returncode == 0
    return done.stdout.splitlines()


def number_in(lines: list[str], pattern: str) -> str:
    """Return the number in the one line that is of ``pattern``."""
    found = [match[1] for line in lines if (match := re.fullmatch(pattern, line))]
    assert len(found) == 1, lines
    return str(found[0])


def test_jupyters_parts_may_be_null_where_they_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    wire = importlib.import_module("jupyter_wire")
    session = wire.Session("secret", "ann")
    request = session.message("kernel_info_request", {}, way=[b"client"])

    def received(**parts: Any) -> Any:
        """Return what is read of the request when a program writes ``parts`` in its own way."""
        fields = {"header": request.header, "parent": {}, "metadata": {}, "content": {}, **parts}
        written = [json.dumps(part).encode() for part in fields.values()]
        return session.unpack([b"client", b"<IDS|MSG>", session._sign(written), *written])

    for nulls in ({"parent": None}, {"parent": None, "metadata": None, "content": None}):
        message = received(**nulls)
        assert (message.kind, message.parent, message.content) == ("kernel_info_request", {}, {})
        assert message.way == [b"client"]
        assert not message.answers(request)
        reply = session.unpack(session.pack(session.message("kernel_info_reply", {}, message)))
        assert reply.answers(request)
    for wrong in ({"header": None}, {"parent": ["x"]}, {"content": "text"}):
        with pytest.raises(ValueError, match="is no dictionary"):
            received(**wrong)


def test_hello_shares_ten_numbers_between_two_workers_and_adds_up(tmp_path: Path) -> None:
    assert lines_of("hello", tmp_path) == ["ann squared 5 numbers", "bob squared 5 numbers", "the sum is 285"]


def test_the_broker_serves_all_clients_while_workers_come_and_go(tmp_path: Path) -> None:
    assert lines_of("broker", tmp_path) == [
        "clients ask, and nobody is there yet; then ann comes",
        "  answered: ann 12",
        "bob joins ann",
        "  answered: ann 6, bob 6",
        "ann leaves",
        "  answered: bob 12",
    ]


def test_every_request_is_answered_although_one_server_is_killed_and_the_other_sleeps(tmp_path: Path) -> None:
    lines = lines_of("reliable_request", tmp_path)
    killed = number_in(lines, r"ann is killed, with request (\d+) in its hands")
    asleep = number_in(lines, r"bob falls asleep over request (\d+)")
    gone = [line for line in lines if "is gone, and has not answered the request" in line]
    late = [line for line in lines if line.endswith("is tried again: no answer within 0.5 s")]
    assert any(line.startswith(f"request {killed} is tried again: ") for line in gone)
    assert any(line.startswith(f"request {asleep} is tried again: ") for line in late)
    assert "30 of 30 requests are answered, by ann and bob" in lines
    assert any(re.fullmatch(r"dropped, replies that nobody waits for: \d+", line) for line in lines)


def test_every_tile_of_the_work_queue_comes_back_once_and_the_quick_do_more(tmp_path: Path) -> None:
    first, *workers, total = lines_of("work_queue", tmp_path)
    assert first == "60 tiles for hare, fox, tortoise"
    done = {line.split()[0]: int(line.split()[2]) for line in workers}
    assert list(done) == ["hare", "fox", "tortoise"]
    assert sum(done.values()) == 60
    assert done["hare"] > done["tortoise"] > 0
    assert total == "60 of 60 tiles came back exactly once"


def test_who_subscribes_late_hears_the_last_values_first(tmp_path: Path) -> None:
    lines = lines_of("last_value", tmp_path)
    assert [line for line in lines if "early" in line] == [
        f"  early hears alps/{place} {degrees}" for degrees in (1, 2) for place in ("zermatt", "chamonix")
    ]
    assert [line for line in lines if "late" in line] == [
        f"  late  hears {place} {degrees}"
        for degrees in (2, 3)
        for place in ("alps/zermatt", "alps/chamonix", "coast/brest")
    ]


def test_work_of_killed_and_frozen_workers_is_done_by_others(tmp_path: Path) -> None:
    lines = lines_of("worker_heartbeats", tmp_path)
    for name, accident in (("bob", "SIGKILL"), ("eve", "SIGSTOP")):
        job = number_in(lines, rf"{name} gets {accident} in job (\d+)")
        assert f"queue: {name} is gone; job {job} goes to another" in lines
    assert lines[-1] == "12 requests, 12 answers, their sum is 506"


def test_replicas_equal_the_server_also_when_cut_off_or_late(tmp_path: Path) -> None:
    lines = lines_of("key_value", tmp_path)
    snapshots = [line.split()[0] for line in lines if "has a snapshot" in line]
    assert snapshots == ["ann", "bob", "eve", "bob"]
    assert any(re.fullmatch(r"bob has change \d+ and hears of change \d+", line) for line in lines)
    assert lines[-3:] == [f"{name} equals the server: 17 keys after 600 changes" for name in ("ann", "bob", "eve")]


@pytest.mark.parametrize("name", PATTERNS)
def test_an_example_says_what_it_shows(name: str, tmp_path: Path) -> None:
    printed = lines_of(name, tmp_path, "--help")
    assert printed[0].startswith(f"usage: {name}.py")
    assert f"    python examples/{name}.py" in printed


@pytest.mark.parametrize("name", PATTERNS)
def test_ctrl_c_ends_an_example_cleanly(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", INTERRUPTED, str(EXAMPLES / f"{name}.py")],
        capture_output=True,  # to its end: children have it open, too
        text=True,
        timeout=60,
        cwd=tmp_path,
        start_new_session=True,
        check=False,
    )
    assert complaints(done.stderr) == []
    assert len(done.stdout.splitlines()) >= 1
    assert done.returncode == 130
