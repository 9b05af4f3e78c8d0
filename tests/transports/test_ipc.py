"""Which paths can be bound? A live path is refused, a dead path is taken over, and other files are left alone."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
        with pytest.raises(mq.InvalidEndpoint, match=r"'ipc://\*'.*the endpoint that bind\(\) returns"):
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
        advice = "bind a path in it" if what == "directory" else "bind another path, or remove it"
        with pytest.raises(mq.BindError, match=f"not a socket; {advice}") as caught:
            pull.bind(f"ipc://{path}")
        assert str(path) in str(caught.value)
    assert path.lstat() == before
    assert ".precious.lock" not in os.listdir(tmp_path)


async def test_a_device_is_told_from_what_may_be_removed(deadline: None) -> None:
    async with mq.Pull(reconnect_interval=0.01) as pull, pull.monitor() as events:
        with pytest.raises(mq.BindError, match=r"a device is there, which is not a socket; bind another path$"):
            pull.bind("ipc:///dev/null")
        pull.connect("ipc:///dev/null")
        assert (await next_event(events, mq.ConnectDelayed)).reason.endswith(": a device is there, not a socket")


@pytest.mark.parametrize("what", ["a file", "a directory", "a link"])
async def test_a_connecter_is_told_what_is_there_instead_of_a_socket(
    tmp_path: Path, what: str, deadline: None
) -> None:
    path = tmp_path / "something"
    if what == "a file":
        path.touch()
    elif what == "a directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    async with mq.Push(linger=0) as push, push.monitor() as events:
        push.connect(f"ipc://{path}")
        reason = (await next_event(events, mq.ConnectDelayed)).reason
    if what == "a link":
        assert reason.endswith(f": there is a link to '{tmp_path}/nowhere', which does not exist")
    else:
        assert reason.endswith(f": {what} is there, not a socket")


async def test_a_link_that_leads_nowhere_is_left_alone(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "nowhere")
    async with mq.Pull() as pull:
        with pytest.raises(mq.BindError, match=r"there is a link to '.*/nowhere', .*; bind that path, or") as caught:
            pull.bind(f"ipc://{path}")
        assert str(path) in str(caught.value)
    assert path.is_symlink()


async def test_a_link_to_itself_is_left_alone(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "link"
    path.symlink_to(path)
    async with mq.Pull() as pull:
        with pytest.raises(mq.BindError, match="there is a link to"):
            pull.bind(f"ipc://{path}")


async def test_a_link_stays_and_the_path_that_it_leads_to_is_bound(tmp_path: Path, deadline: None) -> None:
    path, link = tmp_path / "socket", tmp_path / "link"
    link.symlink_to("socket")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with mq.Pull() as pull, mq.Pull() as other:
        assert pull.bind(f"ipc://{link}") == f"ipc://{link}"
        assert link.is_symlink()
        await _works(pull, f"ipc://{link}")
        await _works(pull, f"ipc://{path}")
        for taken in (link, path):
            with pytest.raises(mq.BindError, match="a live process"):
                other.bind(f"ipc://{taken}")
    assert os.listdir(tmp_path) == ["link"]


async def test_a_link_to_a_path_that_is_too_long_says_so(tmp_path: Path, deadline: None) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    (tmp_path / "link").symlink_to(deep / "socket")
    (deep / "socket").touch()
    async with mq.Pull() as pull:
        with pytest.raises(mq.BindError, match="too long for a Unix socket"):
            pull.bind(f"ipc://{tmp_path}/link")


async def test_a_socket_of_somebody_else_at_our_path_is_not_removed(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        async with mq.Pull() as pull:
            pull.bind(f"ipc://{path}")
            path.unlink()
            other.bind(str(path))
        assert path.exists()


async def test_a_file_is_removed_while_its_socket_still_listens(tmp_path: Path, deadline: None) -> None:
    # Closed first, it would look dead to another process, whose new file would be removed then.
    path = tmp_path / "socket"
    seen: list[bool] = []

    def look(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.remove" and arguments[0] == str(path):
            with socket.socket(socket.AF_UNIX) as probe:
                seen.append(probe.connect_ex(str(path)) == 0)

    async with mq.Pull() as pull:
        pull.bind(f"ipc://{path}")
        sys.addaudithook(look)  # cannot be removed, but looks at this path only
    assert seen == [True]
    assert not path.exists()


async def test_bind_does_not_wait_for_a_lock_on_the_directory(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with _locked(tmp_path):
        async with mq.Pull() as pull:
            pull.bind(f"ipc://{path}")
            await _works(pull, f"ipc://{path}")


async def test_a_lock_on_the_lock_is_an_error_that_names_it(tmp_path: Path, deadline: None) -> None:
    path, lock = tmp_path / "socket", tmp_path / ".socket.lock"
    lock.touch()
    async with mq.Pull() as pull:
        with _locked(lock), pytest.raises(mq.BindError, match=rf"another process has locked '{lock}'") as caught:
            pull.bind(f"ipc://{path}")
        assert caught.value.errno == errno.EADDRINUSE
        assert not path.exists()
        pull.bind(f"ipc://{path}")  # as a killed process leaves it
        assert os.listdir(tmp_path) == ["socket"]
        await _works(pull, f"ipc://{path}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of ``path``. After 5 seconds it is released in any case, so that a failing test ends."""
    handle = os.open(path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    rescue = threading.Timer(5, fcntl.flock, (handle, fcntl.LOCK_UN))
    rescue.start()
    try:
        yield
        assert rescue.is_alive()
    finally:
        rescue.cancel()
        os.close(handle)


@pytest.mark.parametrize("kind", ["directory", "link"])
async def test_anything_in_place_of_the_lock_file_is_named(tmp_path: Path, kind: str, deadline: None) -> None:
    lock = tmp_path / ".socket.lock"
    if kind == "directory":
        lock.mkdir()
    else:
        lock.symlink_to(tmp_path / "precious")
    async with mq.Pull() as pull:
        with pytest.raises(mq.BindError, match=rf"lock file '{lock}' cannot be opened .*: remove it"):
            pull.bind(f"ipc://{tmp_path}/socket")
    assert os.listdir(tmp_path) == [".socket.lock"]


AS_NOBODY = """
import os, sys, trio, mq

async def main():
    async with mq.Pull() as pull, mq.Push() as push:
        push.connect(pull.bind(sys.argv[1]))
        await push.send(b"hello")
        print((await pull.receive()).decode())

os.setgid(65534)
os.setuid(65534)
trio.run(main)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root may be another user")
@pytest.mark.parametrize("dead", [False, True])
def test_a_directory_need_not_be_readable(dead: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # pytest's own is for root alone
        path = Path(directory) / "socket"
        if dead:
            with socket.socket(socket.AF_UNIX) as owner:
                owner.bind(str(path))
            os.chmod(path, 0o777)
        os.chmod(directory, 0o733)
        command = [sys.executable, "-c", AS_NOBODY, f"ipc://{path}"]
        process = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (process.stdout, process.stderr) == ("hello\n", "")
        assert not os.listdir(directory)


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


def test_of_processes_that_race_for_a_path_exactly_one_wins(tmp_path: Path) -> None:
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
        for number, what in enumerate(["dead", "vacant", "dead by way of a link"] * 20):
            path = link = tmp_path / str(number)
            if "link" in what:
                link = tmp_path / f"link {number}"
                link.symlink_to(path)
            if what != "vacant":
                with socket.socket(socket.AF_UNIX) as dead:
                    dead.bind(str(path))
            for place, racer in enumerate(racers):
                assert racer.stdin is not None
                racer.stdin.write(f"{path if place % 2 else link}\n")
                racer.stdin.flush()
            results = [racer.stdout.readline().strip() for racer in racers if racer.stdout is not None]
            assert sorted(results) == ["lost", "lost", "lost", "won"]
    finally:
        for racer in racers:
            racer.communicate()
    assert not [path for path in tmp_path.iterdir() if not path.is_symlink()]


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
