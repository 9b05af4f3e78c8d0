"""Which peers are rejected before a byte is exchanged? Filters by address and by process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
import zmq

import mq

from ..conftest import next_event
from ..interop.libzmq import libzmq
from ..links.raw import raw_peer

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who connects")


async def taken(bind: str, connect: str, **options: Any) -> bool:
    """Bind with ``options``, connect to ``connect`` with the same port, and return whether the peer is accepted."""
    async with mq.Pull(**options) as pull, pull.monitor() as events, mq.Push(linger=0) as push:
        push.connect(connect.format(port=pull.bind(bind).rpartition(":")[2]))
        while True:
            event = await events.receive()
            if isinstance(event, mq.Handshaken):
                return True
            if isinstance(event, mq.HandshakeFailed):
                assert event.peer
                assert "filter" in event.reason
                return False
            assert isinstance(event, (mq.Listening, mq.Accepted))


@pytest.mark.parametrize(
    ("networks", "welcome"),
    [
        ((), True),
        (("127.0.0.0/8",), True),
        (("127.0.0.1",), True),
        (("127.0.0.99/8",), True),  # bits behind the network's count for nothing, as with libzmq
        (("10.0.0.0/8", "127.0.0.0/30"), True),
        (("0.0.0.0/0",), True),
        (("10.0.0.0/8",), False),
        (("127.0.0.2",), False),
        (("::1", "::/0"), False),
    ],
)
@pytest.mark.parametrize("bind", ["tcp://127.0.0.1:*", "tcp://[::]:*"])
async def test_addresses_of_other_networks_are_turned_away(
    bind: str, networks: tuple[str, ...], welcome: bool, deadline: None
) -> None:
    assert await taken(bind, "tcp://127.0.0.1:{port}", tcp_accept_filter=networks) is welcome


@pytest.mark.parametrize(("networks", "welcome"), [(("::1/128",), True), (("127.0.0.0/8", "fe80::/10"), False)])
async def test_networks_may_be_ipv6(networks: tuple[str, ...], welcome: bool, deadline: None) -> None:
    assert await taken("tcp://[::1]:*", "tcp://[::1]:{port}", tcp_accept_filter=networks) is welcome


PID, UID, GID = os.getpid(), os.getuid(), os.getgid()


@linux
@pytest.mark.parametrize(
    ("filters", "welcome"),
    [
        ({}, True),
        ({"ipc_filter_pid": (PID,)}, True),
        ({"ipc_filter_uid": (UID,)}, True),
        ({"ipc_filter_gid": (GID,)}, True),
        ({"ipc_filter_pid": (1, PID)}, True),
        ({"ipc_filter_pid": (1,), "ipc_filter_uid": (UID,)}, True),  # one of the three is enough
        ({"ipc_filter_uid": (UID + 1,), "ipc_filter_gid": (GID,)}, True),
        ({"ipc_filter_pid": (PID + 1,)}, False),
        ({"ipc_filter_uid": (UID + 1,)}, False),
        ({"ipc_filter_gid": (GID + 1,)}, False),
        ({"ipc_filter_pid": (1,), "ipc_filter_uid": (UID + 1,), "ipc_filter_gid": (GID + 1,)}, False),
    ],
    ids=str,
)
async def test_processes_that_no_filter_names_are_turned_away(
    filters: dict[str, Any], welcome: bool, tmp_path: Path, deadline: None
) -> None:
    endpoint = f"ipc://{tmp_path}/socket"
    assert await taken(endpoint, endpoint, **filters) is welcome


@linux
@pytest.mark.skipif(UID != 0, reason="only root gives groups to a process")
@pytest.mark.parametrize(("group", "welcome"), [(4242, True), (4243, False)])
async def test_supplementary_groups_count(group: int, welcome: bool, tmp_path: Path, deadline: None) -> None:
    script = (
        "import socket, sys\n"
        "sock = socket.socket(socket.AF_UNIX)\n"
        "sock.connect(sys.argv[1])\n"
        "sys.exit(0 if sock.recv(1) else 1)\n"  # the first byte of a greeting
    )
    async with mq.Pull(ipc_filter_gid=(group,)) as pull:
        pull.bind(f"ipc://{tmp_path}/socket")
        command = [sys.executable, "-c", script, f"{tmp_path}/socket"]
        done = await trio.run_process(command, check=False, extra_groups=[4242], stderr=subprocess.DEVNULL)
    assert (done.returncode == 0) is welcome


async def test_a_rejected_peer_receives_no_byte_and_delays_no_other_peer(deadline: None) -> None:
    async with mq.Pull(tcp_accept_filter=("10.0.0.0/8",)) as pull, pull.monitor() as events:
        endpoint = pull.bind("tcp://127.0.0.1:*")
        for _ in range(20):
            async with raw_peer(endpoint) as raw:
                assert await raw.hear_end() == b""
            failed = await next_event(events, mq.HandshakeFailed)
            assert failed.endpoint == endpoint
            assert failed.peer.startswith("tcp://127.0.0.1:")
            assert "127.0.0.1 is in no network of tcp_accept_filter=('10.0.0.0/8',)" in failed.reason
        assert pull.statistics().peers == ()


async def test_libzmq_is_turned_away_too_each_time_it_comes(deadline: None) -> None:
    pull = mq.Pull(tcp_accept_filter=("10.0.0.0/8",))
    async with pull, pull.monitor() as events, libzmq(zmq.PUSH, LINGER=0, RECONNECT_IVL=10) as push:
        push.connect(pull.bind("tcp://127.0.0.1:*"))
        for _ in range(3):
            await next_event(events, mq.HandshakeFailed)
