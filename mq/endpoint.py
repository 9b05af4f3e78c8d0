"""What does an endpoint say? ``"tcp://*:5555"`` to values and back; no I/O."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import TypeAlias

from attrs import Factory, field, frozen

from .errors import InvalidEndpoint, UnsupportedScheme
from .message import shortened

IPC_PATH_LIMIT = 107
"""Bytes in a Unix socket path: ``sun_path`` less its terminator."""


def _text() -> str:
    """Return the field ``text``: the endpoint as the user wrote it, which is what errors quote."""
    made: str = field(default=Factory(str, takes_self=True), eq=False, repr=False, kw_only=True)
    return made


@frozen
class Tcp:
    """``tcp://host:port``; connecting may name its own side first, as in ``tcp://source:port;host:port``.

    ``host`` is a name, an IPv4 address, an IPv6 address without its brackets, or ``*``. ``port`` 0 lets the
    system choose when binding.
    """

    host: str
    port: int
    source: tuple[str, int] | None = None
    text: str = _text()

    scheme = "tcp"

    def __str__(self) -> str:
        own = "" if self.source is None else f"{_address(*self.source)};"
        return f"tcp://{own}{_address(self.host, self.port)}"


@frozen
class Ipc:
    """``ipc://path``, ``ipc://@name`` in Linux's abstract namespace, or ``ipc://*`` to have a path chosen."""

    path: str
    text: str = _text()

    scheme = "ipc"

    @property
    def wildcard(self) -> bool:
        return self.path == "*"

    @property
    def abstract(self) -> bool:
        return self.path.startswith("@")

    def __str__(self) -> str:
        return f"ipc://{self.path}"


@frozen
class Inproc:
    """``inproc://name``: between the sockets of one process."""

    name: str
    text: str = _text()

    scheme = "inproc"

    def __str__(self) -> str:
        return f"inproc://{self.name}"


Endpoint: TypeAlias = Tcp | Ipc | Inproc


def parse(text: str) -> Endpoint:
    """Read an endpoint. Raises `InvalidEndpoint` or `UnsupportedScheme`, with the text and what is wrong."""
    if not isinstance(text, str):
        raise TypeError(f"an endpoint is a str such as 'tcp://127.0.0.1:5555', got {shortened(text)}")
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, colon, rest = text.partition(":")
        if colon and scheme in _SCHEMES:
            meant = f"{scheme}://{rest if scheme == 'ipc' else rest.lstrip('/')}"
            raise InvalidEndpoint(f"endpoint {text!r} has no scheme: write {meant!r}, with '//' after '{scheme}:'")
        raise InvalidEndpoint(f"endpoint {text!r} has no scheme: write it as in 'tcp://127.0.0.1:5555'")
    if scheme not in _SCHEMES:
        known = ", ".join(f"{name}://" for name in _SCHEMES)
        what = f"scheme {scheme!r}, which is not there yet" if scheme in _ELSEWHERE else f"unknown scheme {scheme!r}"
        raise UnsupportedScheme(f"endpoint {text!r} has the {what}: use one of {known}")
    if not rest:
        raise InvalidEndpoint(f"endpoint {text!r} has no address after '{scheme}://'")
    if "\0" in rest:
        raise InvalidEndpoint(f"endpoint {text!r} contains a NUL character")
    try:
        os.fsencode(rest)
    except UnicodeEncodeError as error:
        raise InvalidEndpoint(f"endpoint {text!r} contains what is no character: {error}") from None
    return _SCHEMES[scheme](text, rest)


def _parse_tcp(text: str, rest: str) -> Tcp:
    own, separator, remote = rest.rpartition(";")
    host, port = _host_and_port(text, remote)
    return Tcp(host, port, _host_and_port(text, own) if separator else None, text=text)


def _parse_ipc(text: str, rest: str) -> Ipc:
    if rest == "@":
        raise InvalidEndpoint(f"endpoint {text!r} has an empty abstract name: write 'ipc://@name'")
    size = len(os.fsencode(rest))
    if size > IPC_PATH_LIMIT:
        raise InvalidEndpoint(
            f"endpoint {text!r} has a path of {size} bytes; a Unix socket takes {IPC_PATH_LIMIT}: "
            "use a shorter directory"
        )
    return Ipc(rest, text=text)


def _parse_inproc(text: str, rest: str) -> Inproc:
    return Inproc(rest, text=text)


def canonical(endpoint: Endpoint) -> Endpoint:
    """Return the spelling that all spellings of one address share. A host name and its address remain two addresses."""
    if isinstance(endpoint, Tcp):
        source = None if endpoint.source is None else (_canonical_host(endpoint.source[0]), endpoint.source[1])
        return Tcp(_canonical_host(endpoint.host), endpoint.port, source)
    if isinstance(endpoint, Ipc) and not endpoint.abstract:
        return Ipc(os.path.abspath(endpoint.path))
    return endpoint


def _canonical_host(host: str) -> str:
    return str(IPv6Address(host)) if ":" in host else host.lower()


_SCHEMES: dict[str, Callable[[str, str], Endpoint]] = {
    "tcp": _parse_tcp,
    "ipc": _parse_ipc,
    "inproc": _parse_inproc,
}

_ELSEWHERE = {"ws", "wss", "udp", "tipc", "pgm", "epgm", "norm", "vmci"}
"""Schemes that libzmq knows, too."""

_HOST_AND_PORT = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^\[\];]+)):(?P<port>\*|[0-9]+)\Z")


def _host_and_port(text: str, address: str) -> tuple[str, int]:
    match = _HOST_AND_PORT.match(address)
    if match is None:
        raise InvalidEndpoint(
            f"endpoint {text!r} has the address {address!r}: write host:port, [ipv6]:port or *:port"
        )
    host = match["host"] or match["v6"]
    if match["v6"] is not None or ":" in host:
        _check_ipv6(text, host, in_brackets=match["v6"] is not None)
    digits = "0" if match["port"] == "*" else match["port"].lstrip("0") or "0"
    if len(digits) > 5 or int(digits) > 65535:
        raise InvalidEndpoint(f"endpoint {text!r} has port {shortened(match['port'])}; ports end at 65535")
    return host, int(digits)


def _check_ipv6(text: str, host: str, *, in_brackets: bool) -> None:
    try:
        IPv6Address(host)
    except ValueError as error:
        where = "between its brackets" if in_brackets else "before its last colon; write host:port or [ipv6]:port"
        raise InvalidEndpoint(f"endpoint {text!r} has no IPv6 address {where}: {error}") from None


_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")


def why_no_host_name(host: str) -> str | None:
    """Return why no host can have the name ``host``, an address or a name in ASCII; None if one can.

    RFC 1123, and what is found beside it in hosts files and name servers: underscores, hyphens at the end, a dot
    behind the last label.
    """
    if ":" in host:
        return None
    wrong = _NOT_IN_NAMES.search(host)
    if wrong is not None:
        return f"a host name has letters, digits, '-', '_' and '.', and no {wrong[0]!r}"
    if host.startswith("-"):
        return "no host name begins with '-'"
    if not all(1 <= len(label) <= 63 for label in host.removesuffix(".").split(".")):
        return "its parts between dots have 1 to 63 characters"
    if len(host.removesuffix(".")) > 253:
        return "a host name has at most 253 characters"
    return None


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
