"""Who hears what happens to a socket? Its monitors; and what keeps its endpoints from being reached is remembered."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from .monitor import ConnectDelayed, Event, HandshakeFailed

log = logging.getLogger("mq")

_LIMIT = 10_000
"""Events that may wait in one monitor."""


@define(eq=False)
class Monitors:
    """The monitors of the socket ``name``."""

    name: str
    trouble: dict[str, str] = field(factory=dict)
    """Why nobody is reached, by endpoint."""
    _channels: dict[trio.MemorySendChannel[Event], None] = field(factory=dict)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        sender, receiver = trio.open_memory_channel[Event](_LIMIT)
        self._channels[sender] = None
        try:
            with sender, receiver:
                yield receiver
        finally:
            del self._channels[sender]

    def report(self, event: Event) -> None:
        if isinstance(event, (ConnectDelayed, HandshakeFailed)):
            self.trouble[event.endpoint] = event.reason
        for channel in self._channels:
            try:
                channel.send_nowait(event)
            except trio.WouldBlock:
                log.warning("%s has a monitor that nobody reads: it lost %r", self.name, event)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # its reader has left, or the socket is closed

    def close(self) -> None:
        """End the streams of all monitors, after what they still hold."""
        for channel in self._channels:
            channel.close()
