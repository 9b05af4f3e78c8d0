"""What only processes can do: die for good, outlive nobody, come from a script."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

import actors
from tests.actors.zoo import Account

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def pidfds(pids):
    return {pid: os.pidfd_open(pid) for pid in pids}


def wait_gone(watched, seconds):
    """The pids that are still there in the end."""
    poll = select.poll()
    for fd in watched.values():
        poll.register(fd, select.POLLIN)
    left = dict(watched)
    while left and (events := poll.poll(seconds * 1000)):
        gone = {fd for fd, _ in events}
        for pid in [pid for pid, fd in left.items() if fd in gone]:
            poll.unregister(left[pid])
            os.close(left.pop(pid))
    return sorted(left)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="watches processes by pidfd")
def test_no_process_outlives_its_killed_supervisor():
    program = subprocess.Popen(
        [sys.executable, str(HERE / "orphans.py")], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with program:
        words = []
        while words.count("computing") < 2:
            line = program.stdout.readline()
            assert line, "the program ended early"
            words += line.split()
        pids = [int(word) for word in words if word != "computing"]
        assert len(set(pids)) == 5
        watched = pidfds(pids)
        program.send_signal(signal.SIGKILL)
        program.wait()
        assert wait_gone(watched, 10) == []


async def test_a_killed_nested_supervisor_takes_its_processes_along():
    async with actors.open_supervisor() as root:
        team = await root.start(actors.Supervisor(
            actors.Child(Account, "ann", place="process", name="ann"), place="process", name="team"))
        ann = await root.get("team/ann")
        child = await ann.pid()
        watched = pidfds([child])
        async with team.monitor() as downs:
            os.kill(parent_of_tree(child), signal.SIGKILL)
            assert (await downs.receive()).reason == actors.Signal(signal.SIGKILL)
        assert await trio.to_thread.run_sync(wait_gone, watched, 10) == []
        assert await ann.pid() != child


def parent_of_tree(pid):
    """The supervisor's process: the child's parent is its fork server, and that one's the supervisor."""
    return _parent(_parent(pid))


def _parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_callers_in_other_processes_hear_of_a_death():
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place="process", name="ann")
        bob = await root.start(Patient, place="process", name="bob")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bob.wait_for, ann)
            pid = await ann.pid()
            async with ann.monitor() as downs:
                while not await bob.is_waiting():
                    await trio.lowlevel.checkpoint()
                os.kill(pid, signal.SIGKILL)
                await downs.receive()
        assert await bob.heard() == actors.Signal(9)


class Patient(actors.Actor):
    def __init__(self):
        self.reason = None
        self.waiting = False

    @actors.concurrent
    async def wait_for(self, other):
        async with other.monitor() as downs:
            self.waiting = True
            self.reason = (await downs.receive()).reason

    @actors.concurrent
    async def is_waiting(self):
        return self.waiting

    async def heard(self):
        return self.reason


async def test_the_death_of_the_incarnation_that_runs_now_can_be_waited_for():
    async with actors.open_supervisor() as root:
        ann = await root.start(Account, "ann", place="process")
        pid = await ann.pid()
        reasons = []

        async def wait():
            reasons.append(await ann.wait_died())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            os.kill(pid, signal.SIGKILL)
        assert reasons == [actors.Signal(9)]


async def test_an_exit_code_is_told():
    async with actors.open_supervisor() as root:
        leaver = await root.start(Leaver, place="process", restart="temporary")
        with pytest.raises(actors.ActorDied) as caught:
            await leaver.leave(7)
        assert caught.value.reason == actors.Exited(7)


class Leaver(actors.Actor):
    async def leave(self, code):
        os._exit(code)


SCRIPT = """
import trio, actors

class Adder(actors.Actor):
    async def add(self, a, b):
        return a + b

async def main():
    async with actors.open_supervisor() as root:
        adder = await root.start(Adder, place="process")
        print(await adder.add(2, 3))

if __name__ == "__main__":
    trio.run(main)
"""


def test_a_class_of_a_script_works_in_a_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("5\n", "", 0)


async def test_the_sockets_are_gone_with_the_block(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with actors.open_supervisor() as root:
        await root.start(Account, "ann", place="process")
        (directory,) = tmp_path.iterdir()
        assert directory.stat().st_mode & 0o777 == 0o700
        assert list(directory.iterdir())
    assert list(tmp_path.iterdir()) == []
