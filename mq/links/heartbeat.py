"""Is the peer still alive? PING after a silence, and an end to connections that answer nothing (RFC 37).

A live peer must never be taken for dead. One whose inbox is full reads nothing and so answers no PING; that can
only be when we sent it messages since we last heard from it. And while our own inbox is full, we hear nothing.
"""

from __future__ import annotations

import trio

from ..options import Options
from ..pipe import Pipe
from .stream import StreamLink


async def watch(link: StreamLink, pipe: Pipe, options: Options) -> None:
    """End ``link`` when its peer is silent for longer than the options allow."""
    interval = options.heartbeat_interval
    if interval is None or not link.connection.knows_heartbeats:
        return
    patience = interval if options.heartbeat_timeout is None else options.heartbeat_timeout
    sent_before = 0
    asked: float | None = None
    while True:
        # A run that was held up sees what has come and its timers in any order: let the reader go first.
        await trio.lowlevel.checkpoint()
        now = trio.current_time()
        if link.reader.heard:
            link.reader.heard = False
            sent_before = pipe.messages_out
            asked = None
        else:
            overdue = asked is not None and now >= asked + patience
            unfinished = link.connection.unfinished
            owes_an_answer = pipe.messages_out == sent_before and not pipe.in_flight
            if overdue and not link.reader.stalled and (unfinished or owes_an_answer):
                half = f"; {unfinished}" if unfinished else ""
                link.reader.end(f"heartbeat: nothing received for {interval + patience:g} s{half}")
                return
            if asked is None or overdue or link.reader.stalled:
                asked = now
                if not link.connection.has_output:
                    link.ping()
        await trio.sleep(interval if asked is None else min(interval, asked + patience - now))
