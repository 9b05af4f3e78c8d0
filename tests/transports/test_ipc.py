"""Whose is a path? A live owner's never, a dead owner's is taken over, and what is no socket is left alone."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import trio

import mq

from ..conftest import married, next_event, until

linux = pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")


async def _works(pull: mq.Pull, endpoint: str) -> None:
    async with mq.Push() as push:
        push.connect(endpoint)
        await push.send(b"hello")
        assert await pull.receive() == b"hello"


async def test_the_file_is_there_while_bound_and_gone_afterwards(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "socket"
    async with mq.Pull() as pull:
        assert pull.bind(f"ipc://{path}") == f"ipc://{path}"
        assert stat.S_ISSOCK(path.stat().st_mode)
        await _works(pull, f"ipc://{path}")
    assert not path.exists()


async def test_the_file_is_gone_after_unbind(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "socket"
    async with mq.Pull() as pull:
        pull.bind(f"ipc://{path}")
        pull.unbind(f"ipc://{path}")
        assert not path.exists()


async def test_the_file_is_gone_after_an_exception(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "socket"
    with pytest.raises(KeyError):  # noqa: PT012 - the block is what is tested
        async with mq.Pull() as pull:
            pull.bind(f"ipc://{path}")
            raise KeyError
    assert not path.exists()


async def test_a_relative_path_is_removed_although_the_directory_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    monkeypatch.chdir(tmp_path)
    async with mq.Pull() as pull:
        assert pull.bind("ipc://relative") == "ipc://relative"
        await _works(pull, "ipc://relative")
        monkeypatch.chdir("/")
    assert not (tmp_path / "relative").exists()


async def test_a_path_that_is_not_text_in_any_encoding_works(tmp_path: Path, deadline: None) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    async with mq.Pull() as pull:
        pull.bind(f"ipc://{path}")
        await _works(pull, f"ipc://{path}")


async def test_a_star_makes_a_directory_that_only_its_user_may_enter_and_removes_it(deadline: None) -> None:
    async with mq.Pull() as pull, mq.Pull() as other:
        endpoint = pull.bind("ipc://*")
        assert other.bind("ipc://*") != endpoint
        directory = Path(endpoint.removeprefix("ipc://")).parent
        assert directory.parent == Path(tempfile.gettempdir())
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        await _works(pull, endpoint)
    assert not directory.exists()


async def test_a_star_is_unbound_by_what_bind_returned(deadline: None) -> None:
    async with mq.Pull() as pull:
        endpoint = pull.bind("ipc://*")
        with pytest.raises(mq.InvalidEndpoint, match=endpoint):
            pull.unbind("ipc://*")
        pull.unbind(endpoint)
        assert not Path(endpoint.removeprefix("ipc://")).parent.exists()


async def test_a_star_cannot_be_connected_to(deadline: None) -> None:
    async with mq.Push() as push:
        with pytest.raises(mq.InvalidEndpoint, match=r"'ipc://\*'.*bind\(\) returns the path"):
            push.connect("ipc://*")


@linux
async def test_an_abstract_name_makes_no_file_and_is_free_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deadline: None
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"ipc://@{tmp_path}"
    for _ in range(2):
        async with married(mq.Pull(), mq.Push(), name) as (pull, push):
            await push.send(b"hello")
            assert await pull.receive() == b"hello"
            assert not os.listdir(tmp_path)
            async with mq.Pull() as other:
                with pytest.raises(mq.BindError) as caught:
                    other.bind(name)
                assert caught.value.errno == errno.EADDRINUSE
                assert name in str(caught.value)


async def test_a_live_owner_keeps_its_path(tmp_path: Path, deadline: None) -> None:
    endpoint = f"ipc://{tmp_path}/socket"
    async with mq.Pull() as owner, mq.Pull() as thief:
        owner.bind(endpoint)
        with pytest.raises(OSError, match="a live process listens there") as caught:
            thief.bind(endpoint)
        assert isinstance(caught.value, mq.BindError)
        assert caught.value.errno == errno.EADDRINUSE
        assert endpoint in str(caught.value)
        await _works(owner, endpoint)


async def test_a_live_owner_that_accepts_nothing_keeps_its_path(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        async with mq.Pull() as pull:
            for _ in range(3):
                with pytest.raises(mq.BindError, match="a live process"):
                    pull.bind(f"ipc://{path}")
    assert path.exists()


BIND = """
import sys, mq, trio

async def main():
    async with mq.Pull() as pull:
        pull.bind(sys.argv[1])
        print("bound", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


async def test_the_path_of_a_killed_owner_is_taken_over(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "socket"
    command = [sys.executable, "-c", BIND, f"ipc://{path}"]
    owner = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    async with owner.stdout, mq.Pull() as pull:
        try:
            assert (await owner.stdout.receive_some()).startswith(b"bound")
            with pytest.raises(mq.BindError):
                pull.bind(f"ipc://{path}")
        finally:
            owner.send_signal(signal.SIGKILL)
            await owner.wait()
        assert path.exists()
        pull.bind(f"ipc://{path}")
        await _works(pull, f"ipc://{path}")
    assert not path.exists()


async def test_a_connecter_waits_for_whoever_takes_over_a_dead_path(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with mq.Push(reconnect_interval=0.01) as push, mq.Pull() as pull, push.monitor() as events:
        push.connect(f"ipc://{path}")
        await next_event(events, mq.ConnectDelayed)
        await push.send(b"hello")
        pull.bind(f"ipc://{path}")
        assert await pull.receive() == b"hello"


@pytest.mark.parametrize("what", ["file", "directory", "link to a file", "pipe"])
async def test_what_is_no_socket_is_left_alone(tmp_path: Path, what: str, deadline: None) -> None:
    path = tmp_path / "precious"
    if what == "directory":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        (tmp_path / "content").write_text("precious")
        if what == "file":
            path.write_text("precious")
        else:
            path.symlink_to(tmp_path / "content")
    before = path.lstat()
    async with mq.Pull() as pull:
        with pytest.raises(mq.BindError, match="not a socket; bind another path, or remove it") as caught:
            pull.bind(f"ipc://{path}")
        assert str(path) in str(caught.value)
    assert path.lstat() == before


async def test_a_link_that_leads_nowhere_is_left_alone(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "nowhere")
    async with mq.Pull() as pull:
        with pytest.raises(mq.BindError) as caught:
            pull.bind(f"ipc://{path}")
        assert str(path) in str(caught.value)
    assert path.is_symlink()


async def test_a_socket_of_somebody_else_at_our_path_is_not_removed(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        async with mq.Pull() as pull:
            pull.bind(f"ipc://{path}")
            path.rename(tmp_path / "moved away")  # keeps its inode from being given to the other
            other.bind(str(path))
        assert path.exists()


@pytest.mark.parametrize("where", ["bind", "connect"])
async def test_a_directory_that_does_not_exist_is_named(tmp_path: Path, where: str, deadline: None) -> None:
    endpoint = f"ipc://{tmp_path}/no/such/socket"
    if where == "bind":
        async with mq.Pull() as pull:
            with pytest.raises(mq.BindError, match="create it first") as caught:
                pull.bind(endpoint)
            assert caught.value.errno == errno.ENOENT
            assert endpoint in str(caught.value)
    else:
        async with mq.Push() as push, push.monitor() as events:
            push.connect(endpoint)
            assert (await next_event(events, mq.ConnectDelayed)).endpoint == endpoint


RACE = """
import sys, mq, trio

async def main():
    async with mq.Pull() as pull:
        print("ready", flush=True)
        for path in iter(sys.stdin.readline, ""):
            try:
                pull.bind("ipc://" + path.strip())
            except OSError:
                print("lost", flush=True)
            else:
                print("won", flush=True)

trio.run(main)
"""


def test_of_processes_that_race_for_a_dead_path_exactly_one_wins(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for number in range(50):
            path = tmp_path / str(number)
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write(f"{path}\n")
                racer.stdin.flush()
            results = [racer.stdout.readline().strip() for racer in racers if racer.stdout is not None]
            assert sorted(results) == ["lost", "lost", "lost", "won"]
    finally:
        for racer in racers:
            racer.communicate()
    assert not list(tmp_path.iterdir())


@linux
async def test_the_other_process_is_named(tmp_path: Path, deadline: None) -> None:
    async with married(mq.Pull(), mq.Push(), f"ipc://{tmp_path}/socket") as (pull, _):
        await until(lambda: bool(pull.statistics().peers))
        assert pull.statistics().peers[0].peer == f"pid {os.getpid()} of user {os.getuid()}"


async def test_a_full_queue_of_connections_is_a_delay_and_no_connection(tmp_path: Path, deadline: None) -> None:
    path = str(tmp_path / "socket")
    async with mq.Push(reconnect_interval=0.01, reconnect_interval_max=0.01) as push, push.monitor() as events:
        with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
            busy.bind(path)
            busy.listen(0)
            first.connect(path)
            push.connect(f"ipc://{path}")
            for _ in range(3):
                event = await next_event(events, (mq.ConnectDelayed, mq.Connected))  # type: ignore[arg-type]
                assert isinstance(event, mq.ConnectDelayed)
                assert "too many connections wait" in event.reason
            taken, _ = busy.accept()
            taken.close()
            await next_event(events, mq.Connected)
        async with mq.Pull() as pull:
            pull.bind(f"ipc://{path}")
            await push.send(b"hello")
            assert await pull.receive() == b"hello"
