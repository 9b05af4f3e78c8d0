"""Do the options reach the operating system? They are read back from the OS sockets."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

import mq
from mq.transports import socket_options

from ..conftest import married, next_event
from .kernel import sockets_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at sockets as Linux shows them")

TCP = socket.IPPROTO_TCP
BUSY_POLL = 46

SETTINGS = [
    ({"send_buffer": 20_000}, socket.SOL_SOCKET, socket.SO_SNDBUF, 40_000),  # Linux doubles, for its own needs
    ({"receive_buffer": 30_000}, socket.SOL_SOCKET, socket.SO_RCVBUF, 60_000),
    ({"tcp_keepalive": True}, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ({"tcp_keepalive": False}, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0),
    ({"tcp_keepalive": True, "tcp_keepalive_count": 7}, TCP, socket.TCP_KEEPCNT, 7),
    ({"tcp_keepalive": True, "tcp_keepalive_idle": 77}, TCP, socket.TCP_KEEPIDLE, 77),
    ({"tcp_keepalive": True, "tcp_keepalive_idle": 0.5}, TCP, socket.TCP_KEEPIDLE, 1),
    ({"tcp_keepalive": True, "tcp_keepalive_interval": 8.0}, TCP, socket.TCP_KEEPINTVL, 8),
    ({"tcp_max_retransmit_time": 12.5}, TCP, socket.TCP_USER_TIMEOUT, 12_500),
    ({"type_of_service": 0x28}, socket.IPPROTO_IP, socket.IP_TOS, 0x28),
    ({"priority": 5}, socket.SOL_SOCKET, socket.SO_PRIORITY, 5),
    ({"busy_poll": 20}, socket.SOL_SOCKET, BUSY_POLL, 20),
]
IDS = [" ".join(f"{name}={value}" for name, value in each[0].items()) for each in SETTINGS]


async def settings(endpoint: str, options: dict[str, Any], level: int, number: int) -> dict[str, list[int]]:
    """Connect two sockets with ``options``, and return the settings of the OS sockets of each side."""
    one, other = mq.Pair(**options), mq.Pair(**options)
    async with married(one, other, endpoint):
        [peer] = other.statistics().peers
        with sockets_of(peer.endpoint) as found:
            return {
                "listening": [each.getsockopt(level, number) for each in found.listening],
                "accepted": [each.getsockopt(level, number) for each in found.accepted],
                "connecting": [each.getsockopt(level, number) for each in found.connecting],
            }


@pytest.mark.parametrize(("options", "level", "number", "value"), SETTINGS, ids=IDS)
async def test_listening_accepted_and_connecting_tcp_sockets_have_the_option(
    options: dict[str, Any], level: int, number: int, value: int, deadline: None
) -> None:
    found = await settings("tcp://127.0.0.1:*", options, level, number)
    assert found == {"listening": [value], "accepted": [value], "connecting": [value]}


@pytest.mark.parametrize(("options", "level", "number", "value"), SETTINGS[:2], ids=IDS[:2])
async def test_buffers_are_set_on_ipc_sockets_too(
    options: dict[str, Any], level: int, number: int, value: int, tmp_path: Any, deadline: None
) -> None:
    found = await settings(f"ipc://{tmp_path}/socket", options, level, number)
    assert found == {"listening": [value], "accepted": [value], "connecting": [value]}


def most_send_buffer() -> int:
    """Return the largest buffer size in bytes that the kernel allows a program to set."""
    return int(Path("/proc/sys/net/core/wmem_max").read_text())


async def test_ipc_connections_hold_more_than_the_kernel_s_default(tmp_path: Any, deadline: None) -> None:
    value = 2 * min(2 * 1024 * 1024, most_send_buffer())
    found = await settings(f"ipc://{tmp_path}/socket", {}, socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert found == {"listening": [value], "accepted": [value], "connecting": [value]}


async def test_what_only_tcp_has_does_not_hinder_ipc(tmp_path: Any, deadline: None) -> None:
    options = {"tcp_keepalive": True, "type_of_service": 8, "bind_to_device": "no-such-device", "priority": 3}
    async with married(mq.Pair(**options), mq.Pair(**options), f"ipc://{tmp_path}/socket") as (one, other):
        await one.send(b"hello")
        assert await other.receive() == b"hello"


@pytest.mark.parametrize("name", ["tcp_keepalive_count", "tcp_keepalive_idle", "tcp_keepalive_interval"])
async def test_keepalive_details_count_only_with_tcp_keepalive(name: str, deadline: None) -> None:
    number = {"count": socket.TCP_KEEPCNT, "idle": socket.TCP_KEEPIDLE, "interval": socket.TCP_KEEPINTVL}
    wanted = number[name.rpartition("_")[2]]
    usual = await settings("tcp://127.0.0.1:*", {}, TCP, wanted)
    assert await settings("tcp://127.0.0.1:*", {name: 3}, TCP, wanted) == usual


async def test_the_type_of_service_is_set_for_both_families(deadline: None) -> None:
    options = {"type_of_service": 0x28}
    for level, number in [(socket.IPPROTO_IPV6, socket.IPV6_TCLASS), (socket.IPPROTO_IP, socket.IP_TOS)]:
        found = await settings("tcp://[::1]:*", options, level, number)
        assert found == {"listening": [0x28], "accepted": [0x28], "connecting": [0x28]}


async def test_a_device_is_the_only_one_used(deadline: None) -> None:
    one, other = mq.Pair(bind_to_device="lo"), mq.Pair(bind_to_device="lo")
    async with married(one, other, "tcp://127.0.0.1:*"):
        with sockets_of(other.statistics().peers[0].endpoint) as found:
            for sock in (*found.listening, *found.accepted, *found.connecting):
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"


REFUSED = [
    {"tcp_keepalive": True, "tcp_keepalive_idle": 10**6},
    {"tcp_keepalive": True, "tcp_keepalive_idle": 0},
    {"tcp_keepalive": True, "tcp_keepalive_count": 1000},
    {"tcp_keepalive": True, "tcp_keepalive_interval": 10**12},
    {"tcp_max_retransmit_time": 10**9},
    {"send_buffer": 10**12},
    {"busy_poll": 10**12},
    {"bind_to_device": "no-such-device"},
    {"bind_to_device": "a-name-longer-than-any-device-has"},
]


@pytest.mark.parametrize("options", REFUSED, ids=str)
async def test_what_the_system_refuses_raises_when_binding(options: dict[str, Any], deadline: None) -> None:
    name, value = list(options.items())[-1]
    async with mq.Pair(**options) as pair:
        with pytest.raises(mq.BindError, match=rf"the system refuses {name}=.*{value}") as caught:
            pair.bind("tcp://127.0.0.1:*")
        assert caught.value.errno
        assert "'tcp://127.0.0.1:" in str(caught.value)


@pytest.mark.parametrize("options", REFUSED, ids=str)
async def test_what_the_system_refuses_is_the_reason_for_not_connecting(
    options: dict[str, Any], deadline: None
) -> None:
    name = list(options)[-1]
    async with mq.Pair(**options, reconnect_interval=0.01) as pair, pair.monitor() as events:
        pair.connect("tcp://127.0.0.1:1")
        for _ in range(2):
            assert f"the system refuses {name}=" in (await next_event(events, mq.ConnectDelayed)).reason


def test_a_system_without_an_option_names_it() -> None:
    wish = socket_options._Wish("busy_poll", socket.SOL_SOCKET, ("SO_THAT_NO_SYSTEM_HAS", "SO_NOR_THIS"))
    with socket.socket() as sock, pytest.raises(OSError, match=r"no SO_THAT_NO_SYSTEM_HAS.*leave out busy_poll=5"):
        socket_options._set(sock, wish, 5)
