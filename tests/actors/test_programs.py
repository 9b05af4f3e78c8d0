"""Trees as programs: run(), the command line, and the example."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

TREE = """
import actors, trio

class Worker(actors.Actor):
    def __init__(self, name): self.title = name
    async def started(self): print(self.title, "up", flush=True)
    async def stopping(self): print(self.title, "down", flush=True)

class Ending(actors.Actor):
    async def started(self): self.stop()

class Failing(actors.Actor):
    async def started(self): self.nursery.start_soon(self.ref.fail.tell)
    async def fail(self): raise RuntimeError("on purpose")

class Stubborn(actors.Actor):
    async def started(self): print("up", flush=True)
    async def stopping(self): await trio.sleep_forever()

stubborn = actors.Child(Stubborn, place="process", shutdown=3600)
tree = actors.Supervisor(
    actors.Child(Worker, "one", place="process"), actors.Child(Worker, "two", place="thread"))
short = actors.Supervisor(actors.Child(Ending, restart="transient"), actors.Child(Ending, restart="temporary"))
bad = actors.Supervisor(actors.Child(Failing))

if __name__ == "__main__":
    actors.run(tree)
    print("end")
"""


@pytest.fixture
def service(tmp_path):
    (tmp_path / "service.py").write_text(TREE)
    return tmp_path


def program(service, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=service, env={**os.environ, "PYTHONPATH": f"{ROOT}:{service}"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [["service.py"], ["-m", "actors", "run", "-q", "service:tree"]])
def test_a_signal_stops_a_tree_in_order(service, number, arguments):
    with program(service, *arguments) as running:
        assert [running.stdout.readline(), running.stdout.readline()] == ["one up\n", "two up\n"]
        running.send_signal(number)
        out, err = running.communicate(timeout=20)
    assert out.removesuffix("end\n") == "two down\none down\n"
    assert (err, running.returncode) == ("", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_still_stops_in_order(service, number):
    with program(service, "service.py", start_new_session=True) as running:
        assert [running.stdout.readline(), running.stdout.readline()] == ["one up\n", "two up\n"]
        os.killpg(running.pid, number)
        out, err = running.communicate(timeout=20)
    assert (out, err, running.returncode) == ("two down\none down\nend\n", "", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_sent_twice_at_once_counts_once(service, number):
    with program(service, "service.py") as running:
        assert [running.stdout.readline(), running.stdout.readline()] == ["one up\n", "two up\n"]
        running.send_signal(number)
        running.send_signal(number)
        out, err = running.communicate(timeout=20)
    assert (out, err, running.returncode) == ("two down\none down\nend\n", "", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_insists_is_obeyed_at_once(service, number):
    with program(service, "-m", "actors", "run", "-q", "service:stubborn") as running:
        assert running.stdout.readline() == "up\n"
        while running.poll() is None:
            running.send_signal(number)
            time.sleep(0.01)
    assert running.returncode == 128 + number


SLOW = """
import os, sys, time

if any("forkserver" in argument for argument in sys.orig_argv):
    open("importing", "w").close()
    while not os.path.exists("go on"):
        time.sleep(0.01)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_signal_to_the_group_interrupts_what_the_fork_server_imports(service, number):
    (service / "sitecustomize.py").write_text(SLOW)  # Python imports it before anything else
    with program(service, "service.py", start_new_session=True) as running:
        while not (service / "importing").exists():
            assert running.poll() is None
            time.sleep(0.01)
        os.killpg(running.pid, number)
        (service / "go on").touch()
        out, err = running.communicate(timeout=20)
    assert (err, running.returncode) == ("", 0)
    assert out.endswith("end\n")


def test_a_tree_whose_children_have_all_ended_ends(service):
    with program(service, "-m", "actors", "run", "-q", "service:short") as running:
        assert running.communicate(timeout=20) == ("", "")
    assert running.returncode == 0


def test_a_tree_that_fails_says_so(service):
    with program(service, "-m", "actors", "run", "-q", "service:bad") as running:
        _, err = running.communicate(timeout=20)
    assert "more than 1 restarts in 5 s" in err
    assert "on purpose" in err
    assert running.returncode == 1


def test_a_tree_that_is_not_there_is_an_error_of_usage(service):
    with program(service, "-m", "actors", "run", "service:nothing") as running:
        _, err = running.communicate(timeout=20)
    assert "nothing" in err
    assert running.returncode == 2


def test_the_example_shows_crashes_and_recoveries_and_ends():
    with program(ROOT, "examples/tree.py") as running:
        out, _ = running.communicate(timeout=30)
    assert running.returncode == 0
    lines = out.splitlines()
    assert lines.count("store     up in a process of its own, 0 measurements on disk") == 1
    assert sum(line.startswith("store     up") for line in lines) == 2
    assert lines.count("shaky     up in a thread") >= 2
    assert "reporter  hears that the store was ended by SIGKILL" in lines
    assert lines[-1] == "all stopped"


def test_the_example_stops_at_ctrl_c():
    with program(ROOT, "examples/tree.py") as running:
        while "shaky" not in running.stdout.readline():
            pass
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=30)
    assert out.splitlines()[-2:] == ["store     closed", "all stopped"]
    assert running.returncode == 0
