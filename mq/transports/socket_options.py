"""Which options go to the operating system? Those that setsockopt() sets on each OS socket."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from attrs import frozen

from ..options import Options


def _whole(value: float) -> int:
    """Return whole seconds, rounded up, because 0 has another meaning."""
    return math.ceil(value)


def _milliseconds(value: float) -> int:
    return math.ceil(value * 1000)


@frozen
class _Wish:
    """One option of `mq`, and its names for setsockopt(). The first of ``names`` that this system has is used."""

    option: str
    level: int
    names: tuple[str, ...]
    encode: Callable[[Any], int | bytes] = int


_BUFFERS = (
    _Wish("send_buffer", socket.SOL_SOCKET, ("SO_SNDBUF",)),
    _Wish("receive_buffer", socket.SOL_SOCKET, ("SO_RCVBUF",)),
)
_DEVICE = (_Wish("bind_to_device", socket.SOL_SOCKET, ("SO_BINDTODEVICE",), str.encode),)
_TCP = (
    _Wish("tcp_keepalive", socket.SOL_SOCKET, ("SO_KEEPALIVE",)),
    _Wish("tcp_max_retransmit_time", socket.IPPROTO_TCP, ("TCP_USER_TIMEOUT",), _milliseconds),
    _Wish("priority", socket.SOL_SOCKET, ("SO_PRIORITY",)),
    _Wish("busy_poll", socket.SOL_SOCKET, ("SO_BUSY_POLL",)),
)
_KEEPALIVE = (
    _Wish("tcp_keepalive_count", socket.IPPROTO_TCP, ("TCP_KEEPCNT",)),
    _Wish("tcp_keepalive_idle", socket.IPPROTO_TCP, ("TCP_KEEPIDLE", "TCP_KEEPALIVE"), _whole),
    _Wish("tcp_keepalive_interval", socket.IPPROTO_TCP, ("TCP_KEEPINTVL",), _whole),
)
_SERVICE = {
    int(socket.AF_INET): (_Wish("type_of_service", socket.IPPROTO_IP, ("IP_TOS",)),),
    # An IPv6 socket may have a peer of either family.
    int(socket.AF_INET6): (
        _Wish("type_of_service", socket.IPPROTO_IPV6, ("IPV6_TCLASS",)),
        *([_Wish("type_of_service", socket.IPPROTO_IP, ("IP_TOS",))] if sys.platform == "linux" else []),
    ),
}

_NUMBERS = {"SO_BUSY_POLL": 46} if sys.platform == "linux" else {}
"""The numbers of names that Python's socket module lacks."""

LARGEST = 2**31 - 1
"""The largest number that setsockopt() and listen() accept."""

_IPC_SEND_BUFFER = 2 * 1024 * 1024
"""The size of the kernel's send buffer of an ipc connection in bytes, unless ``send_buffer`` is set.

The default of 208 KiB holds a few large messages, so writer and reader would wake each other for each message. The
kernel limits the size to net.core.wmem_max.
"""


def apply(sock: socket.socket, options: Options) -> None:
    """Set the options of the system on a new ``sock``. Raises OSError, which names the option."""
    if sock.family != socket.AF_UNIX:
        _grant(sock, options, _DEVICE)
    apply_to_accepted(sock, options)


def apply_to_accepted(sock: socket.socket, options: Options) -> None:
    """Set the options of the system on an accepted ``sock``, except the device, which comes from the listener."""
    _grant(sock, options, _BUFFERS)
    if sock.family == socket.AF_UNIX and options.send_buffer is None:
        with contextlib.suppress(OSError):  # a system that rejects this size keeps its default
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _IPC_SEND_BUFFER)
    if sock.family != socket.AF_UNIX:
        _grant(sock, options, _TCP)
        _grant(sock, options, _SERVICE[sock.family])
        if options.tcp_keepalive:
            _grant(sock, options, _KEEPALIVE)


def _grant(sock: socket.socket, options: Options, wishes: tuple[_Wish, ...]) -> None:
    for wish in wishes:
        value = getattr(options, wish.option)
        if value is not None:
            _set(sock, wish, value)


def _set(sock: socket.socket, wish: _Wish, value: Any) -> None:
    for name in wish.names:
        number = getattr(socket, name, _NUMBERS.get(name))
        if number is not None:
            break
    else:
        raise OSError(errno.ENOPROTOOPT, f"this system has no {wish.names[0]}: leave out {wish.option}={value!r}")
    try:
        argument = wish.encode(value)
        if isinstance(argument, int) and argument > LARGEST:
            raise OSError(errno.EINVAL, "")
        sock.setsockopt(wish.level, number, argument)
    except OverflowError:  # milliseconds beyond the range of floats
        code = errno.EINVAL
    except OSError as error:
        code = error.errno or errno.EINVAL
    else:
        return
    raise OSError(code, f"the system refuses {wish.option}={value!r} ({name}): {os.strerror(code)}")
