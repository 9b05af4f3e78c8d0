"""How is a proxy asked for a connection? SOCKS 5 (RFC 1928), with a user name and password (RFC 1929); no I/O."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Generator

_VERSION, _CONNECT = 5, 1
_NO_AUTHENTICATION, _PASSWORD = 0, 2
_IPV4, _NAME, _IPV6 = 1, 3, 4
_PASSWORD_VERSION = 1

_REFUSALS = {
    1: (errno.ECONNABORTED, "general failure"),
    2: (errno.EACCES, "not allowed by its rules"),
    3: (errno.ENETUNREACH, "network unreachable"),
    4: (errno.EHOSTUNREACH, "host unreachable"),
    5: (errno.ECONNREFUSED, "connection refused"),
    6: (errno.ETIMEDOUT, "time to live expired"),
    7: (errno.EOPNOTSUPP, "it cannot connect"),
    8: (errno.EAFNOSUPPORT, "it does not know this type of address"),
}

Dialogue = Generator[tuple[bytes, int], bytes, None]
"""Yields what to say and how many bytes to hear next; is sent exactly those."""


def dialogue(host: str, port: int, username: str | None, password: str | None) -> Dialogue:
    """Ask for a connection to ``host``, an address or a name in ASCII: names are the proxy's to look up.

    Ends when there is one: the next byte is the peer's own. Raises OSError.
    """
    methods = bytes([_NO_AUTHENTICATION] if username is None else [_NO_AUTHENTICATION, _PASSWORD])
    version, method = yield bytes([_VERSION, len(methods)]) + methods, 2
    if version != _VERSION:
        raise OSError(errno.EPROTO, f"it does not speak SOCKS 5: its first byte is {version}")
    if method not in methods:
        raise OSError(errno.EACCES, _wanted(method, username))
    if method == _PASSWORD:
        _, status = yield _credentials(username or "", password or ""), 2
        if status:
            raise OSError(errno.EACCES, f"it refuses the user name {username!r} or its password")
    version, reply, _, kind = yield bytes([_VERSION, _CONNECT, 0]) + _address(host) + port.to_bytes(2, "big"), 4
    if version != _VERSION:
        raise OSError(errno.EPROTO, f"its answer is not of SOCKS 5: it begins with {version}")
    if reply:
        code, text = _REFUSALS.get(reply, (errno.ECONNABORTED, "unknown failure"))
        raise OSError(code, f"{text} (answer {reply})")
    # The address that it connects from is of no use to us, but stands before the peer's bytes.
    if kind == _NAME:
        [size] = yield b"", 1
    elif kind in (_IPV4, _IPV6):
        size = 4 if kind == _IPV4 else 16
    else:
        raise OSError(errno.EPROTO, f"its answer has an address of the unknown type {kind}")
    yield b"", size + 2


def _wanted(method: int, username: str | None) -> str:
    if username is None:
        return "it wants to know who we are: set socks_username and socks_password"
    return f"it takes neither nobody nor a user name and password (it answers method {method})"


def _credentials(username: str, password: str) -> bytes:
    name, secret = username.encode(), password.encode()
    return bytes([_PASSWORD_VERSION, len(name)]) + name + bytes([len(secret)]) + secret


def _address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode()
        if len(name) > 255:
            raise OSError(
                errno.EINVAL, f"a host name has 255 characters at most, {host[:20]!r}… has {len(name)}"
            ) from None
        return bytes([_NAME, len(name)]) + name
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed
