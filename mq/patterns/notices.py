"""Which messages announce that a peer connects or disconnects? Those that options put into the queues."""

from __future__ import annotations

from ..message import Message
from ..pipe import Pipe
from .incoming import Receiver


class Notices(Receiver):
    """Send ``probe_router`` and ``hello_message``; receive ``disconnect_message`` and ``hiccup_message``."""

    def _pipe_connected(self, pipe: Pipe) -> None:
        first = [message for message in (b"" if self.options.probe_router else None, self.options.hello_message)
                 if message is not None]  # fmt: skip
        # These messages go before those that waited for the connection.
        pipe.outbox.extendleft(reversed(first))
        super()._pipe_connected(pipe)
        if first and pipe.outbox.asleep:
            pipe.outbox.wake()

    def _pipe_lost(self, pipe: Pipe) -> None:
        super()._pipe_lost(pipe)
        message = self.options.hiccup_message if pipe.connecting else self.options.disconnect_message
        if message is not None:
            self._notice(pipe, message)

    def _notice(self, pipe: Pipe, message: Message) -> None:
        """Receive ``message`` as if the peer had sent it. For a new peer of a listener, it comes first."""
        if self._closing:
            return
        if pipe.connected and not pipe.connecting:
            pipe.ready.extend(self._translate(pipe, [message]))
            self._rejoin(pipe)
            return
        pipe.inbox.extend([message] if pipe.translate is None else pipe.translate([message]))
        if not pipe.readable:
            self._arrived(pipe)
