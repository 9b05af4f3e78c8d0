"""What does an endpoint mean? Text such as ``"tcp://*:5555"`` is parsed into values, and formatted; no I/O."""

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
"""The maximum length of a Unix socket path in bytes: ``sun_path`` without its terminator."""


def _text() -> str:
    """Return the field ``text``: the endpoint as the user wrote it, for error messages."""
    made: str = field(default=Factory(str, takes_self=True), eq=False, repr=False, kw_only=True)
    return made


@frozen
class Tcp:
    """``tcp://host:port``, or ``tcp://source:port;host:port`` to connect from the address ``source``.

    ``host`` is a name, an IPv4 address, an IPv6 address without brackets, or ``*``. If ``port`` is 0, the system
    chooses a port for bind.
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
    """``ipc://path``, ``ipc://@name`` in Linux's abstract namespace, or ``ipc://*``, for which bind chooses a path."""

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
    """``inproc://name``, for connections between the sockets of one process."""

    name: str
    text: str = _text()

    scheme = "inproc"

    def __str__(self) -> str:
        return f"inproc://{self.name}"


Endpoint: TypeAlias = Tcp | Ipc | Inproc


def parse(text: str) -> Endpoint:
    """Parse an endpoint. Raises `InvalidEndpoint` or `UnsupportedScheme`, which quote ``text`` and state the fault."""
    if not isinstance(text, str):
        raise TypeError(f"an endpoint is a str such as 'tcp://127.0.0.1:5555'; got {shortened(text)}")
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, colon, rest = text.partition(":")
        if colon and scheme in _SCHEMES:
            meant = f"{scheme}://{rest if scheme == 'ipc' else rest.lstrip('/')}"
            raise InvalidEndpoint(f"endpoint {text!r} has no scheme: write {meant!r}, with '//' after '{scheme}:'")
        raise InvalidEndpoint(f"endpoint {text!r} has no scheme: write for example 'tcp://127.0.0.1:5555'")
    if scheme not in _SCHEMES:
        known = ", ".join(f"{name}://" for name in _SCHEMES)
        fault = f"scheme {scheme!r}, which mq lacks so far" if scheme in _ELSEWHERE else f"unknown scheme {scheme!r}"
        raise UnsupportedScheme(f"endpoint {text!r} has the {fault}: use one of {known}")
    if not rest:
        raise InvalidEndpoint(f"endpoint {text!r} has no address after '{scheme}://'")
    if "\0" in rest:
        raise InvalidEndpoint(f"endpoint {text!r} contains a NUL character")
    try:
        os.fsencode(rest)
    except UnicodeEncodeError as error:
        raise InvalidEndpoint(f"endpoint {text!r} contains an invalid character: {error}") from None
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
            f"endpoint {text!r} has a path of {size} bytes; a Unix socket has at most {IPC_PATH_LIMIT}: "
            "use a shorter directory"
        )
    return Ipc(rest, text=text)


def _parse_inproc(text: str, rest: str) -> Inproc:
    return Inproc(rest, text=text)


def canonical(endpoint: Endpoint) -> Endpoint:
    """Return the same value for all spellings of one endpoint. A host name and its IP address are two endpoints."""
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
"""Schemes of libzmq that `mq` does not support."""

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
        raise InvalidEndpoint(f"endpoint {text!r} has port {shortened(match['port'])}; the highest port is 65535")
    return host, int(digits)


def _check_ipv6(text: str, host: str, *, in_brackets: bool) -> None:
    try:
        IPv6Address(host)
    except ValueError as error:
        where = "in its brackets" if in_brackets else "before its last colon; write host:port or [ipv6]:port"
        raise InvalidEndpoint(f"endpoint {text!r} has no valid IPv6 address {where}: {error}") from None


_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")


def why_no_host_name(host: str) -> str | None:
    """Return why ``host`` is not a valid address or host name in ASCII, or None if it is valid.

    The rules are those of RFC 1123, and in addition allow what hosts files and name servers contain: underscores, a
    hyphen at the end of a label, and a dot after the last label.
    """
    if ":" in host:
        return None
    wrong = _NOT_IN_NAMES.search(host)
    if wrong is not None:
        return f"a host name consists of letters, digits, '-', '_' and '.', and cannot contain {wrong[0]!r}"
    if host.startswith("-"):
        return "a host name cannot begin with '-'"
    if not all(1 <= len(label) <= 63 for label in host.removesuffix(".").split(".")):
        return "each part between dots has 1 to 63 characters"
    if len(host.removesuffix(".")) > 253:
        return "a host name has at most 253 characters"
    return None


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
