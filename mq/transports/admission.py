"""Which peers may connect? The filters check the address or the process of a peer, before a byte is exchanged."""

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
    """Return a check that raises `TurnedAway` for an address outside the networks of ``tcp_accept_filter``."""
    networks = [ipaddress.ip_network(each, strict=False) for each in options.tcp_accept_filter]

    def check(peer: str, os_address: Any) -> None:
        address = ipaddress.ip_address(os_address[0].partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address  # ::ffff:1.2.3.4 is an IPv4 peer of an IPv6 socket
        if networks and not any(address in network for network in networks):
            raise TurnedAway(peer, f"{address} is in no network of tcp_accept_filter={options.tcp_accept_filter!r}")

    return check


def by_process(options: Options) -> Callable[[str, socket.socket], None]:
    """Return a check that raises `TurnedAway` for a process that no ``ipc_filter_…`` allows.

    Raises OSError if filters are set and this system does not identify the process of a peer.
    """
    given = {
        name: wanted
        for name in ("ipc_filter_pid", "ipc_filter_uid", "ipc_filter_gid")
        if (wanted := getattr(options, name))
    }
    if given and sys.platform != "linux":
        raise OSError(errno.ENOPROTOOPT, f"this system does not identify peers: leave out {', '.join(given)}")

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
    """Return the ids of the process, the user and the group of the peer of a Unix socket."""
    size = struct.calcsize("3i")
    return struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))


_SO_PEERGROUPS = 59
_GROUPS_SIZE = 1024
"""The largest result of getsockopt() in Python, in bytes: 256 groups."""


def _more_groups(sock: socket.socket) -> list[int]:
    """Return the supplementary groups of the peer's process, or none if there are too many or the kernel is too old."""
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_SIZE)
    except OSError:
        return []
    return [group for (group,) in struct.iter_unpack("I", data)]
