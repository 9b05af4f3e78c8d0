"""Where do the events of a socket go? To its monitors. The last reason why an endpoint is not reached is kept."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from .monitor import Closed, ConnectDelayed, Event, HandshakeFailed

log = logging.getLogger("mq")

_LIMIT = 10_000
"""The maximum number of events that wait in one monitor."""


@define(eq=False)
class Monitors:
    """The monitors of the socket ``name``."""

    name: str
    trouble: dict[str, str] = field(factory=dict)
    """For each endpoint that is not reached, the last reason."""
    _channels: dict[trio.MemorySendChannel[Event], int] = field(factory=dict)
    """For each monitor, the number of events that it has lost because no task read them."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        sender, receiver = trio.open_memory_channel[Event](_LIMIT)
        self._channels[sender] = 0
        try:
            with sender, receiver:
                yield receiver
        finally:
            lost = self._channels.pop(sender)
            if lost:
                log.info("%s: a monitor that nobody read has lost %d events in all", self.name, lost)

    def report(self, event: Event) -> None:
        if isinstance(event, (ConnectDelayed, HandshakeFailed)):
            self.trouble[event.endpoint] = event.reason
        elif isinstance(event, Closed):
            self.trouble.pop(event.endpoint, None)
        for channel in self._channels:
            try:
                channel.send_nowait(event)
            except trio.WouldBlock:
                self._channels[channel] += 1
                if self._channels[channel] == 1:
                    text = "%s has a monitor that nobody reads: %d events wait in it, further ones are lost, first %r"
                    log.warning(text, self.name, _LIMIT, event)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # the reader has closed its end, or the socket is closed

    def warn(self, text: str) -> None:
        """Write a warning to the log, after the name of the socket."""
        log.warning("%s: %s", self.name, text)

    def close(self) -> None:
        """End the streams of all monitors. Events that wait stay readable."""
        for channel in self._channels:
            channel.close()
