"""Who hears what happens to a socket? Its monitors; and what keeps its endpoints from being reached is remembered."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from .monitor import Closed, ConnectDelayed, Event, HandshakeFailed

log = logging.getLogger("mq")

_LIMIT = 10_000
"""Events that may wait in one monitor."""


@define(eq=False)
class Monitors:
    """The monitors of the socket ``name``."""

    name: str
    trouble: dict[str, str] = field(factory=dict)
    """Why nobody is reached, by endpoint."""
    _channels: dict[trio.MemorySendChannel[Event], int] = field(factory=dict)
    """How many events each monitor has lost because nobody read them."""

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
                pass  # its reader has left, or the socket is closed

    def warn(self, text: str) -> None:
        """Say in the log what a user may have to see to."""
        log.warning("%s: %s", self.name, text)

    def close(self) -> None:
        """End the streams of all monitors, after what they still hold."""
        for channel in self._channels:
            channel.close()
