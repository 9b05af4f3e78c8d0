"""Trees as programs: run(), the command line, and the example."""

import os
import select
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


GROUP = """
import actors, os, signal, subprocess, sys, trio
from concurrent.futures import ProcessPoolExecutor
import multiprocessing

class Part(actors.Actor):
    async def stopping(self): os.write(1, f"{self.name} down\\n".encode())
    async def pid(self): return os.getpid()
    async def ask_tool(self):
        tool = subprocess.Popen([sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT))"],
                                stdout=subprocess.PIPE, text=True)
        return tool.communicate()[0]

class Ready(actors.Actor):
    async def started(self): os.write(1, b"ready\\n")

tree = actors.Supervisor(
    *(actors.Child(Part, name=name, place="process") for name in "abc"), actors.Child(Ready))

async def with_helper():
    async with actors.open_supervisor() as root:
        one = await (await root.start(Part, place="process")).pid()
        helpers = ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
        helper = helpers.submit(os.getpid).result()
        print(one, await (await root.start(Part, place="process")).pid(), helper, flush=True)
        await trio.sleep_forever()

async def idle():
    async with actors.open_supervisor() as root:
        print(await (await root.start(Part, place="process")).pid(), flush=True)
        await trio.sleep_forever()

async def answer():
    async with actors.open_supervisor() as root:
        part = await root.start(Part, place="process")
        print(await part.ask_tool(), end="", flush=True)

if __name__ == "__main__":
    if sys.argv[1] == "tree":
        actors.run(tree)
    elif sys.argv[1] == "daemonic":
        one = multiprocessing.get_context("fork").Process(target=trio.run, args=(answer,), daemon=True)
        one.start(); one.join()
    elif sys.argv[1] == "pool":
        trio.run(answer)
        with multiprocessing.get_context("forkserver").Pool(1) as pool:
            print(pool.map(abs, [-1]))
    elif sys.argv[1] == "daemon thread":
        import threading
        threading.Thread(target=trio.run, args=(idle,), daemon=True).start()
        while not sys.stdin.readline(): pass
    else:
        trio.run({"helper": with_helper, "answer": answer}[sys.argv[1]])
"""


@pytest.fixture
def group(tmp_path):
    (tmp_path / "group.py").write_text(GROUP)
    return tmp_path


def descendants(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    threads = [path.name for path in Path(f"/proc/{pid}/task").iterdir() if path.name != str(pid)]
    for thread in threads:
        children += Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
    return [pid, *(below for child in children for below in descendants(int(child)))]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("first", ["parent", "children"])
def test_a_signal_to_every_process_lets_each_actor_stop_in_order(group, number, first):
    with program(group, "group.py", "tree") as running:
        assert running.stdout.readline() == "ready\n"
        pids = descendants(running.pid)
        assert len(pids) >= 5
        for pid in pids if first == "parent" else reversed(pids):
            os.kill(pid, number)
        out, err = running.communicate(timeout=20)
    assert (out, err, running.returncode) == ("root/c down\nroot/b down\nroot/a down\n", "", 0)


def gone(pids):
    polls = []
    for pid in pids:
        try:
            polls.append(os.pidfd_open(pid))
        except ProcessLookupError:
            continue
    for fd in polls:
        assert select.select([fd], [], [], 10)[0], "a process is still there"
        os.close(fd)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="watches processes by pidfd")
def test_no_actor_outlives_a_killed_supervisor_that_has_forked_others(group):
    with program(group, "group.py", "helper") as running:
        *actors, helper = map(int, running.stdout.readline().split())
        running.kill()
        running.wait()
        gone(actors)
        os.kill(helper, signal.SIGKILL)


def test_a_program_that_a_process_actor_starts_is_interrupted_as_usual(group):
    with program(group, "group.py", "answer") as running:
        out, err = running.communicate(timeout=20)
    assert ("default_int_handler" in out, err) == (True, "")


def test_a_pool_that_shares_the_fork_server_ends(group):
    with program(group, "group.py", "pool") as running:
        try:
            out, _ = running.communicate(timeout=20)
        finally:
            running.kill()
    assert out.endswith("[1]\n")


def test_a_tree_in_a_daemonic_child_of_multiprocessing_works(group):
    with program(group, "group.py", "daemonic") as running:
        out, err = running.communicate(timeout=20)
    assert ("default_int_handler" in out, err, running.returncode) == (True, "", 0)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="watches processes by pidfd")
def test_a_tree_in_a_daemon_thread_does_not_hang_the_end_of_the_interpreter(group):
    with program(group, "group.py", "daemon thread", stdin=subprocess.PIPE) as running:
        pids = list(map(int, running.stdout.readline().split()))
        running.stdin.write("end\n")
        running.stdin.flush()
        try:
            assert running.wait(20) == 0
        finally:
            running.kill()
        gone(pids)


@pytest.mark.parametrize("length", [10, 120])
def test_nothing_is_left_in_the_temporary_directory_and_its_path_may_be_long(group, length, monkeypatch):
    base = group / ("x" * length)
    base.mkdir()
    monkeypatch.setenv("TMPDIR", str(base))
    with program(group, "group.py", "helper") as running:
        *_, helper = map(int, running.stdout.readline().split())
        running.kill()
        running.wait()
        os.kill(helper, signal.SIGKILL)
    with program(group, "group.py", "answer") as running:
        assert running.communicate(timeout=20)[1] == ""
    assert list(base.iterdir()) == []


def test_a_script_without_the_main_guard_is_told_in_a_sentence(tmp_path):
    (tmp_path / "unguarded.py").write_text("""
import actors, trio

class Part(actors.Actor):
    pass

async def main():
    async with actors.open_supervisor() as root:
        await root.start(Part, place="process")

trio.run(main)
""")
    with program(tmp_path, "unguarded.py") as running:
        _, err = running.communicate(timeout=20)
    assert running.returncode == 1
    assert "put the line if __name__ == \"__main__\": before" in err
    assert len(err.splitlines()) < 12
