"""Which addresses has a host? Numeric addresses are read at once, names are looked up in threads.

A look-up blocks its thread until the name server answers or the system gives up, and nothing can interrupt it.
Look-ups therefore use no thread of Trio's default limiter. There is one look-up at a time for a name, and all tasks
that want the name wait for its answer. A task that is cancelled stops waiting at once; the look-up continues.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
from typing import Any, TypeAlias

import idna  # a dependency of Trio, which encodes names with it
import trio
from attrs import define, field

from ..endpoint import why_no_host_name
from .rounds import Address
from .shortage import NoThread

_Found: TypeAlias = list[tuple[Any, ...]]
"""The result of getaddrinfo()."""

MOST = 100
"""The maximum number of look-ups at a time in one Trio run. Further names wait until a look-up ends."""


async def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of ``host``, in the order of the system. Raises OSError."""
    name = encoded(host)
    found = numeric(name)
    if found is None and ":" in host:
        raise OSError(errno.EADDRNOTAVAIL, f"{host!r} has a zone that is not an interface of this machine")
    if found is None and _has_a_resolver():
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if found is None:
        found = await _of_this_run().ask(name)
    if not found:
        raise OSError(errno.EADDRNOTAVAIL, f"{host} has no address")
    # Only a resolver that the program has set returns another port.
    return [(family, (address[0], address[1] or port, *address[2:])) for family, _, _, _, address in found]


def encoded(host: str) -> bytes:
    """Return ``host`` in ASCII. Other alphabets are encoded by IDNA 2008, as in Trio. Raises OSError."""
    if host.isascii():
        return host.encode()
    try:
        return idna.encode(host, uts46=True)
    except UnicodeError as error:
        raise OSError(errno.EINVAL, f"it is not a valid host name: {error}") from None


def numeric(name: bytes) -> _Found | None:
    """Return the addresses of a ``name`` that is a numeric address, or None for any other name."""
    try:
        return socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return None


_FOUR_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+){3}")


def why_no_host(host: str) -> str | None:
    """Return why ``host`` is not a valid address or host name, or None if it is valid."""
    try:
        name = encoded(host)
    except OSError as error:
        return error.strerror
    if _FOUR_NUMBERS.fullmatch(host) and numeric(name) is None:
        return "each part of an IPv4 address is at most 255"
    return why_no_host_name(name.decode())


def _has_a_resolver() -> bool:
    """Return whether the program has set a resolver with `trio.socket.set_custom_hostname_resolver`."""
    resolver = trio.socket.set_custom_hostname_resolver(None)  # Trio has no function that only returns it
    trio.socket.set_custom_hostname_resolver(resolver)
    return resolver is not None


@define(eq=False)
class _LookUp:
    """A look-up in progress."""

    done: trio.Event = field(factory=trio.Event)
    found: _Found = field(factory=list)
    error: Exception | None = None


@define(eq=False)
class _LookUps:
    """The look-ups of one Trio run."""

    running: dict[bytes, _LookUp] = field(factory=dict)
    room: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    async def ask(self, name: bytes) -> _Found:
        """Return what getaddrinfo() answers for ``name``. Raises OSError."""
        while name not in self.running and len(self.running) >= MOST:
            await self.room.park()
        look_up = self.running.get(name) or self._start(name)
        await look_up.done.wait()
        if look_up.error is not None:  # each task gets its own error, because raising one changes it
            code = getattr(look_up.error, "errno", None) or errno.EINVAL
            raise OSError(code, getattr(look_up.error, "strerror", None) or str(look_up.error))
        return look_up.found

    def _start(self, name: bytes) -> _LookUp:
        look_up = _LookUp()
        token = trio.lowlevel.current_trio_token()

        def work() -> None:
            try:
                look_up.found = socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM)
            except Exception as error:  # ask() raises it
                look_up.error = error
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(end)

        def end() -> None:
            del self.running[name]
            look_up.done.set()
            self.room.unpark_all()

        try:
            trio.lowlevel.start_thread_soon(work, lambda _: None, f"look-up of {name.decode()}")
        except RuntimeError as error:
            raise NoThread(
                f"no thread can be started to look up the host ({error}): raise ulimit -u or pids.max"
            ) from None
        self.running[name] = look_up
        return look_up


_look_ups: trio.lowlevel.RunVar[_LookUps] = trio.lowlevel.RunVar("mq_look_ups")


def _of_this_run() -> _LookUps:
    try:
        return _look_ups.get()
    except LookupError:
        look_ups = _LookUps()
        _look_ups.set(look_ups)
        return look_ups
