"""Is the peer still alive? PING after a silence, and an end to connections that answer nothing (RFC 37).

A live peer must never be taken for dead. One whose inbox is full reads nothing and so answers no PING; that can
only be when we sent it messages since we last heard from it. And while there are too
many messages for us to receive, we read nothing.
"""

from __future__ import annotations

import math

import trio

from ..options import Options
from ..pipe import Pipe
from .parking import Seat
from .reading import Reader
from .stream import StreamLink

_LOOK = 0.1
"""Seconds in which a reader of a run that goes on finds what the kernel has."""


def begin(link: StreamLink, pipe: Pipe, options: Options, nursery: trio.Nursery) -> None:
    """Watch over ``link`` in ``nursery``: a task for what the options ask for, and one for what the peer does."""

    def asked() -> None:
        if link.connection.time_to_live:  # few peers ever tell one
            seat = Seat()
            link.reader.asked = seat.wake
            nursery.start_soon(_watch_time_to_live, link, seat)

    if options.heartbeat_interval is not None and link.connection.knows_heartbeats:
        nursery.start_soon(_watch, link, pipe, options, options.heartbeat_interval)
    link.reader.asked = asked
    asked()


@trio.lowlevel.enable_ki_protection
async def _watch(link: StreamLink, pipe: Pipe, options: Options, interval: float) -> None:
    """End ``link`` when its peer is silent for longer than the options allow."""
    patience = interval if options.heartbeat_timeout is None else options.heartbeat_timeout
    time_to_live = options.heartbeat_ttl or 0.0
    if time_to_live:  # the peer counts on a sign of life, however much it says itself
        interval = min(interval, time_to_live / 2)
    heard_before = 0
    sent_before = 0
    asked: float | None = None
    while True:
        now = trio.current_time()
        if link.reader.heard != heard_before:
            heard_before = link.reader.heard
            sent_before = pipe.messages_out
            asked = None
            ask = False
        else:
            overdue = asked is not None and now >= asked + patience
            unfinished = link.connection.unfinished
            owes_an_answer = pipe.messages_out == sent_before and not pipe.in_flight
            if overdue and not link.reader.stalled and (unfinished or owes_an_answer):
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
        await trio.sleep(interval if asked is None else min(interval, asked + patience - now))


async def _still_silent(reader: Reader) -> bool:
    """Return whether there is nothing to be heard even now. A run that was held up may have yet to look."""
    heard_before = reader.heard
    reader.watch()
    await trio.sleep(_LOOK)
    return reader.heard == heard_before and not reader.stalled


@trio.lowlevel.enable_ki_protection
async def _watch_time_to_live(link: StreamLink, seat: Seat) -> None:
    """End ``link`` when a PING has told a time to live, and nothing came after it for as long.

    Whatever comes after the PING takes its word back, until the next one: a peer need not go on asking.
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
                reader.end(f"heartbeat: nothing received for {patience:g} s, the time to live in the peer's last PING")
                return
            if reader.heard == heard_before:
                continue  # nothing is read for now, so that its time begins anew
        await seat.park()
