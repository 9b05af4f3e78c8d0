"""How does a proxy make a connection for us? By SOCKS 5 (RFC 1928), also with a password (RFC 1929); no I/O."""

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
    2: (errno.EACCES, "its rules do not allow the connection"),
    3: (errno.ENETUNREACH, "network unreachable"),
    4: (errno.EHOSTUNREACH, "host unreachable"),
    5: (errno.ECONNREFUSED, "connection refused"),
    6: (errno.ETIMEDOUT, "time to live expired"),
    7: (errno.EOPNOTSUPP, "it does not support connecting"),
    8: (errno.EAFNOSUPPORT, "it does not support this type of address"),
}

Dialogue = Generator[tuple[bytes, int], bytes, None]
"""It yields the bytes to send and the number of bytes to read next. Send exactly those bytes into the generator."""


def dialogue(host: str, port: int, username: str | None, password: str | None) -> Dialogue:
    """Request a connection to ``host``, which is an address, or a name in ASCII that the proxy looks up.

    The generator ends when the connection exists: the next byte comes from the peer. Raises OSError.
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
            raise OSError(errno.EACCES, f"it rejects the user name {username!r} or the password")
    version, reply, _, kind = yield bytes([_VERSION, _CONNECT, 0]) + _address(host) + port.to_bytes(2, "big"), 4
    if version != _VERSION:
        raise OSError(errno.EPROTO, f"its answer is not of SOCKS 5: it begins with {version}")
    if reply:
        code, text = _REFUSALS.get(reply, (errno.ECONNABORTED, "unknown failure"))
        raise OSError(code, f"{text} (answer {reply})")
    # The source address of the proxy is not needed, but precedes the bytes of the peer.
    if kind == _NAME:
        [size] = yield b"", 1
    elif kind in (_IPV4, _IPV6):
        size = 4 if kind == _IPV4 else 16
    else:
        raise OSError(errno.EPROTO, f"its answer has an address of unknown type {kind}")
    yield b"", size + 2


def _wanted(method: int, username: str | None) -> str:
    if username is None:
        return "it requires authentication: set socks_username and socks_password"
    return f"it accepts neither a password nor a client without authentication (it answers method {method})"


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
                errno.EINVAL, f"a host name has at most 255 characters, but {host[:20]!r}… has {len(name)}"
            ) from None
        return bytes([_NAME, len(name)]) + name
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed
