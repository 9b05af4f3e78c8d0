"""Which addresses has a host? Numbers are read here and now, names are looked up in threads.

A look-up may take as long as a name server is silent, and nothing can interrupt it. So look-ups take none of the
threads that Trio lends to the program. There is one look-up at a time for a name: whoever wants the same name waits for
the same answer. Whoever stops waiting leaves at once, and the look-up goes on without him.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
from typing import Any, TypeAlias

import idna  # Trio depends on it, and encodes names by it
import trio
from attrs import define, field

from ..endpoint import why_no_host_name
from .rounds import Address

_Found: TypeAlias = list[tuple[Any, ...]]
"""What getaddrinfo() returns."""

MOST = 100
"""Look-ups that a Trio run has at a time; further names wait for one of these to end."""


async def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of ``host``, in the order of the system. Raises OSError."""
    name = encoded(host)
    found = numeric(name)
    if found is None and ":" in host:
        raise OSError(errno.EADDRNOTAVAIL, f"{host!r} has a zone that is no interface of this machine")
    if found is None and _has_a_resolver():
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if found is None:
        found = await _of_this_run().ask(name)
    if not found:
        raise OSError(errno.EADDRNOTAVAIL, f"{host} has no address")
    # A port in the answer comes from a resolver of the program's own.
    return [(family, (address[0], address[1] or port, *address[2:])) for family, _, _, _, address in found]


def encoded(host: str) -> bytes:
    """Return ``host`` in ASCII: other alphabets by IDNA 2008, as Trio does. Raises OSError."""
    if host.isascii():
        return host.encode()
    try:
        return idna.encode(host, uts46=True)
    except UnicodeError as error:
        raise OSError(errno.EINVAL, f"no host has that name: {error}") from None


def numeric(name: bytes) -> _Found | None:
    """Return the addresses of a ``name`` that is a number itself, or None."""
    try:
        return socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return None


_FOUR_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+){3}")


def why_no_host(host: str) -> str | None:
    """Return why no host can have the address or name ``host``, or None if one can."""
    try:
        name = encoded(host)
    except OSError as error:
        return error.strerror
    if _FOUR_NUMBERS.fullmatch(host) and numeric(name) is None:
        return "the parts of an IPv4 address end at 255"
    return why_no_host_name(name.decode())


def _has_a_resolver() -> bool:
    """Return whether the program has given Trio a resolver of its own."""
    resolver = trio.socket.set_custom_hostname_resolver(None)  # there is no other way to ask for it
    trio.socket.set_custom_hostname_resolver(resolver)
    return resolver is not None


@define(eq=False)
class _LookUp:
    """A look-up under way."""

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
        if look_up.error is not None:  # a new one for each who waits: raising changes it
            code = getattr(look_up.error, "errno", None) or errno.EINVAL
            raise OSError(code, getattr(look_up.error, "strerror", None) or str(look_up.error))
        return look_up.found

    def _start(self, name: bytes) -> _LookUp:
        look_up = _LookUp()
        token = trio.lowlevel.current_trio_token()

        def work() -> None:
            try:
                look_up.found = socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM)
            except Exception as error:  # raised where the answer is waited for
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
            raise OSError(
                errno.EAGAIN, f"no thread is to be had to look up the host name ({error}): raise ulimit -u or pids.max"
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
