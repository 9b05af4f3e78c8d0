"""Can a socket use a descriptor that already listens, such as one from systemd?"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

import mq

from ..conftest import married
from .kernel import sockets_of


def endpoint_of(sock: socket.socket) -> str:
    address = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"ipc://{address}" if isinstance(address, str) else f"ipc://@{address[1:].decode()}"
    return f"tcp://{f'[{address[0]}]' if ':' in address[0] else address[0]}:{address[1]}"


@pytest.fixture(params=["127.0.0.1", "::1", "path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A listening OS socket of each family, made without `mq`."""
    if request.param == "path":
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "socket"))
    elif request.param == "abstract":
        if sys.platform != "linux":
            pytest.skip("only Linux has abstract names")
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(f"\0mq-test-{os.getpid()}-{tmp_path.name}")
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in request.param else socket.AF_INET)
        sock.bind((request.param, 0))
    sock.listen()
    yield sock
    sock.close()


CHILD = """
import os, sys
import mq, trio

async def main():
    async with mq.Pull(use_fd=int(sys.argv[1])) as pull:
        print(pull.bind(sys.argv[2]), flush=True)
        print((await pull.receive()).decode(), os.get_inheritable(int(sys.argv[1])))

trio.run(main)
"""


async def test_a_process_listens_on_a_descriptor_that_it_inherits(listening: socket.socket, deadline: None) -> None:
    endpoint = endpoint_of(listening)
    number = listening.fileno()
    wildcard = "ipc://*" if endpoint.startswith("ipc") else "tcp://*:*"
    command = [sys.executable, "-c", CHILD, str(number), wildcard]
    async with mq.Push() as push:
        push.connect(endpoint)  # the kernel has it wait until somebody accepts
        await push.send(b"hello")
        done = await trio.run_process(command, pass_fds=[number], capture_stdout=True)
    assert done.stdout.decode().splitlines() == [endpoint, "hello False"]


async def test_the_descriptor_is_closed_with_its_endpoint(listening: socket.socket, deadline: None) -> None:
    number = os.dup(listening.fileno())
    endpoint = endpoint_of(listening)
    async with mq.Pull(use_fd=number) as pull:
        assert pull.bind(endpoint) == endpoint
        pull.unbind(endpoint)
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(number)


async def test_a_path_that_somebody_else_made_is_left_where_it_is(tmp_path: Path, deadline: None) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        async with married(mq.Pull(use_fd=os.dup(sock.fileno())), mq.Push(), f"ipc://{path}"):
            pass
        assert path.is_socket()
        async with married(mq.Pull(use_fd=os.dup(sock.fileno())), mq.Push(), f"ipc://{path}"):
            pass


async def test_only_the_first_bind_takes_the_descriptor(deadline: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        async with mq.Pull(use_fd=os.dup(sock.fileno())) as pull:
            pull.bind("inproc://is-not-meant")
            assert pull.bind("tcp://127.0.0.1:*") == endpoint_of(sock)
            other = pull.bind("tcp://127.0.0.1:*")
            assert other != endpoint_of(sock)
            async with mq.Push() as push:
                push.connect(endpoint_of(sock))
                push.connect(other)
                await push.wait_connected(2)


async def test_connect_ignores_the_descriptor(deadline: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        async with mq.Pull() as pull, mq.Push(use_fd=sock.fileno()) as push:
            push.connect(pull.bind("tcp://127.0.0.1:*"))
            await push.send(b"hello")
            assert await pull.receive() == b"hello"
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


async def refused(descriptor: int, endpoint: str, reason: str, code: int) -> None:
    """Assert that bind with ``descriptor`` fails for ``reason``, and that the next bind uses the descriptor again."""
    async with mq.Pull(use_fd=descriptor) as pull:
        for _ in range(2):
            with pytest.raises(mq.BindError, match=rf"use_fd={descriptor} {reason}") as caught:
                pull.bind(endpoint)
            assert caught.value.errno == code


async def test_what_is_no_listening_socket_is_refused_and_left_alone(tmp_path: Path, deadline: None) -> None:
    with (tmp_path / "file").open("w") as file, socket.socket() as deaf, socket.socket(type=socket.SOCK_DGRAM) as udp:
        await refused(file.fileno(), "tcp://*:*", "is not an open socket", errno.ENOTSOCK)
        deaf.bind(("127.0.0.1", 0))
        await refused(deaf.fileno(), "tcp://*:*", r"does not listen: call listen\(\)", errno.EINVAL)
        await refused(udp.fileno(), "tcp://*:*", "is a socket of .*SOCK_DGRAM", errno.EINVAL)
        for each in (file, deaf, udp):
            os.fstat(each.fileno())
    closed = os.dup(0)
    os.close(closed)
    await refused(closed, "tcp://*:*", "is not an open socket", errno.EBADF)


async def test_a_descriptor_of_another_transport_is_refused(tmp_path: Path, deadline: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as ipc:
        ipc.bind(str(tmp_path / "socket"))
        ipc.listen()
        await refused(tcp.fileno(), "ipc://*", "is a socket of .*AF_INET.*an endpoint of that kind", errno.EINVAL)
        await refused(ipc.fileno(), "tcp://*:*", "is a socket of .*AF_UNIX.*an endpoint of that kind", errno.EINVAL)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the option back as Linux has it")
async def test_what_is_accepted_has_the_options_of_the_system(deadline: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        pull = mq.Pull(use_fd=os.dup(sock.fileno()), tcp_keepalive=True, tcp_keepalive_idle=33)
        async with married(pull, mq.Push(), "tcp://127.0.0.1:*"):
            with sockets_of(endpoint_of(sock)) as found:
                [accepted] = found.accepted
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 33


def test_the_example_takes_what_systemd_hands_over() -> None:
    """Run the example of the documentation as systemd does: with descriptor 3, and with systemd's variables."""
    page = (Path(__file__).parent.parent.parent / "docs" / "sockets.md").read_text()
    [code] = [block.partition("```")[0] for block in page.split("```python\n")[1:] if "LISTEN_FDS" in block]
    with socket.create_server(("127.0.0.1", 0)) as sock:
        starter = (
            "import os, sys\n"
            f"os.dup2({sock.fileno()}, 3)\n"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
            "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", starter, code.replace('"tcp://127.0.0.1:*"', '"tcp://*:*"')],
            pass_fds=[sock.fileno()], capture_output=True, text=True, timeout=30, check=True,
        )
        assert done.stdout.strip() == endpoint_of(sock)
