"""Is the peer still alive? A silent peer gets a PING. If it stays silent, and is not busy, it is dead (RFC 37).

A live peer must never be taken for dead. A peer whose inbox is full reads nothing, so it does not answer a PING. Only
our messages can have filled its inbox. So its inbox is not full if it has answered a PING that followed the last of
them. Other bytes from the peer prove nothing: the peer may send without reading. Silence also proves nothing while we
do not read, because too many messages wait to be received.
"""

from __future__ import annotations

import math

import trio

from ..options import Options
from ..pipe import Pipe
from ..protocols.zmtp import Conversation
from .parking import Seat
from .reading import Reader
from .stream import StreamLink

_LOOK = 0.1
"""Seconds in which the reader finds the bytes in the kernel buffer, after its run was held up."""


def begin(link: StreamLink, pipe: Pipe, options: Options, nursery: trio.Nursery) -> None:
    """Watch ``link`` with up to two tasks in ``nursery``: one for our own heartbeats, one for the TTL of the peer."""

    def asked() -> None:
        if link.connection.time_to_live:  # few peers ever give a TTL
            seat = Seat()
            link.reader.asked = seat.wake
            nursery.start_soon(_watch_time_to_live, link, seat)

    if options.heartbeat_interval is not None and link.connection.knows_heartbeats:
        nursery.start_soon(_watch, link, _Readings(link.connection, pipe), options, options.heartbeat_interval)
    link.reader.asked = asked
    asked()


@trio.lowlevel.enable_ki_protection
async def _watch(link: StreamLink, readings: _Readings, options: Options, interval: float) -> None:
    """End ``link`` when its peer is silent for longer than the options allow."""
    patience = interval if options.heartbeat_timeout is None else options.heartbeat_timeout
    time_to_live = options.heartbeat_ttl or 0.0
    if time_to_live:  # the peer needs PINGs in time even while it sends messages itself
        interval = min(interval, time_to_live / 2)
    heard_before = 0
    asked: float | None = None
    while True:
        now = trio.current_time()
        if link.reader.heard != heard_before:
            heard_before = link.reader.heard
            asked = None
            ask = False
        else:
            overdue = asked is not None and now >= asked + patience
            unfinished = link.connection.unfinished
            dead = unfinished or readings.complete or link.unanswered() >= patience
            if overdue and not link.reader.stalled and dead:
                if not await _still_silent(link.reader):
                    continue
                half = f"; {unfinished}" if unfinished else ""
                link.reader.end(f"heartbeat: nothing received for {interval + patience:g} s{half}")
                return
            ask = asked is None or overdue or link.reader.stalled
            if ask:
                asked = now
        if (ask or time_to_live) and not link.connection.output:
            link.ping(time_to_live)
            readings.asked()
        await trio.sleep(interval if asked is None else min(interval, asked + patience - now))


class _Readings:
    """Which messages has the peer read for certain? Those that were written before a PING which the peer answered."""

    def __init__(self, connection: Conversation, pipe: Pipe) -> None:
        self._connection = connection
        self._pipe = pipe
        self._read = pipe.messages_out
        """The peer has read all messages up to this number."""
        self._ping = 0
        """The number of the PING whose PONG is awaited; 0 if none is."""
        self._before_ping = 0
        """The number of messages that were written before that PING."""

    def asked(self) -> None:
        """Note that a PING was added to the output."""
        self._settle()
        if not self._ping:
            self._ping = self._connection.pings
            self._before_ping = self._pipe.messages_out

    @property
    def complete(self) -> bool:
        """The peer has read all messages, so its inbox cannot be full."""
        self._settle()
        return self._read == self._pipe.messages_out and not self._pipe.in_flight

    def _settle(self) -> None:
        if self._ping and self._connection.pongs >= self._ping:
            self._read = self._before_ping
            self._ping = 0


async def _still_silent(reader: Reader) -> bool:
    """Have the reader look once more, because its run may have been held up. Return whether no bytes arrived."""
    heard_before = reader.heard
    reader.watch()
    await trio.sleep(_LOOK)
    return reader.heard == heard_before and not reader.stalled


@trio.lowlevel.enable_ki_protection
async def _watch_time_to_live(link: StreamLink, seat: Seat) -> None:
    """End ``link`` if a PING has given a TTL, and no byte comes after that PING for so long.

    Any byte after the PING ends this watch until the next PING: a peer need not go on sending PINGs.
    """
    reader, connection = link.reader, link.connection
    while True:
        heard_before = reader.heard
        patience = connection.time_to_live or math.inf
        with trio.move_on_after(patience) as scope:
            await seat.park()
        if not scope.cancelled_caught:
            continue
        if reader.heard == heard_before:
            if await _still_silent(reader):
                reader.end(f"heartbeat: nothing received for {patience:g} s, the TTL in the peer's last PING")
                return
            if reader.heard == heard_before:
                continue  # the connection is not read for now, so the TTL begins anew
        await seat.park()
