"""Which address does bind use? A numeric address, the address of an interface, or a name in the hosts file."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import socket
import struct
import sys
from pathlib import Path

from ..errors import InvalidEndpoint
from . import names

_HOSTS = Path("/etc/hosts")


def address(host: str, text: str, *, ipv6: bool = False) -> tuple[int, str]:
    """Return the family and address to bind for ``host`` in the endpoint ``text``, without a query to a name server.

    Raises `InvalidEndpoint`, or OSError for an interface without an address.
    """
    if host == "*":
        return (socket.AF_INET6, "::") if ipv6 else (socket.AF_INET, "0.0.0.0")
    if host == "localhost":
        return socket.AF_INET, "127.0.0.1"
    if ":" in host:
        _check_zone(host, text)
        return socket.AF_INET6, host
    found = names.numeric(host.encode()) if host.isascii() else None
    if found:
        return socket.AF_INET, found[0][4][0]
    if host in interfaces():
        return socket.AF_INET, _interface_address(host)
    listed = _listed(host)
    if listed:
        return listed[0]
    raise InvalidEndpoint(
        f"endpoint {text!r} cannot be bound: {host!r} is neither an address nor an interface of this machine "
        f"({', '.join(interfaces())}), nor a name in {_HOSTS}; bind to an address or '*', because only connect() "
        "queries name servers"
    )


def interfaces() -> list[str]:
    """Return the names of this machine's interfaces."""
    return [name for _, name in socket.if_nameindex()]


def check_link_local(host: str, text: str) -> None:
    """Raise `InvalidEndpoint` for a link-local IPv6 address without a zone, because the zone selects the interface."""
    if ":" in host and "%" not in host and ipaddress.IPv6Address(host).is_link_local:
        known = [name for name in interfaces() if not name.startswith("lo")] or ["eth0"]
        raise InvalidEndpoint(
            f"endpoint {text!r} has a link-local address, which needs a zone: the interface that leads to it, as in "
            f"[{host}%{known[0]}]; this machine has {', '.join(known)}"
        )


def _check_zone(host: str, text: str) -> None:
    _, separator, zone = host.partition("%")
    if separator and not zone.isdecimal() and zone not in (known := interfaces()):
        raise InvalidEndpoint(
            f"endpoint {text!r} has the zone {zone!r}, which is not an interface of this machine ({', '.join(known)})"
        )


def _interface_address(name: str) -> str:
    if sys.platform != "linux":
        raise OSError(errno.EADDRNOTAVAIL, "on this system, bind to the address of the interface instead of its name")
    siocgifaddr = 0x8915
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe.fileno(), siocgifaddr, struct.pack("256s", name.encode()[:15]))
    return socket.inet_ntoa(answer[20:24])


def _listed(name: str) -> list[tuple[int, str]]:
    """Return the addresses of ``name`` in the hosts file, IPv4 before IPv6."""
    found = []
    with contextlib.suppress(OSError):
        for line in _HOSTS.read_text(errors="replace").splitlines():
            number, *listed = line.partition("#")[0].split() or [""]
            if name.lower() in map(str.lower, listed):
                with contextlib.suppress(ValueError):
                    version = ipaddress.ip_address(number).version
                    found.append((socket.AF_INET6 if version == 6 else socket.AF_INET, number))
    return sorted(found)
