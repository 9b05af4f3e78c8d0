"""Who may come in? What is known of a peer before it has said anything: its address, or its process."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

from ..options import Options
from .base import TurnedAway


def by_address(options: Options) -> Callable[[str, Any], None]:
    """Return what raises `TurnedAway` for an address that is in no network of ``tcp_accept_filter``."""
    networks = [ipaddress.ip_network(each, strict=False) for each in options.tcp_accept_filter]

    def check(peer: str, os_address: Any) -> None:
        address = ipaddress.ip_address(os_address[0].partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address  # an IPv6 socket shows IPv4 peers as ::ffff:1.2.3.4
        if networks and not any(address in network for network in networks):
            raise TurnedAway(peer, f"{address} is in no network of tcp_accept_filter={options.tcp_accept_filter!r}")

    return check


def by_process(options: Options) -> Callable[[str, socket.socket], None]:
    """Return what raises `TurnedAway` for a process that no ``ipc_filter_…`` names. Raises OSError when none can."""
    given = {
        name: wanted
        for name in ("ipc_filter_pid", "ipc_filter_uid", "ipc_filter_gid")
        if (wanted := getattr(options, name))
    }
    if given and sys.platform != "linux":
        raise OSError(errno.ENOPROTOOPT, f"this system does not tell who connects, leave out {', '.join(given)}")

    def check(peer: str, sock: socket.socket) -> None:
        if not given:
            return
        pid, uid, gid = credentials(sock)
        groups = {gid, *_more_groups(sock)} if options.ipc_filter_gid else {gid}
        named = pid in options.ipc_filter_pid or uid in options.ipc_filter_uid or groups & {*options.ipc_filter_gid}
        if not named:
            filters = " ".join(f"{name}={wanted!r}" for name, wanted in given.items())
            raise TurnedAway(peer, f"process {pid} of user {uid} and group {gid} is not in {filters}")

    return check


def credentials(sock: socket.socket) -> tuple[int, int, int]:
    """Return process, user and group of the other end of a Unix socket."""
    size = struct.calcsize("3i")
    return struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))


_SO_PEERGROUPS = 59
_GROUPS_SIZE = 1024
"""All that Python lets getsockopt() return: 256 groups."""


def _more_groups(sock: socket.socket) -> list[int]:
    """Return the supplementary groups of the other end; none when there are too many, or the system is too old."""
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_SIZE)
    except OSError:
        return []
    return [group for (group,) in struct.iter_unpack("I", data)]
