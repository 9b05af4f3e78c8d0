"""How is a message received with its routing id or group? As a pair of the routing id or group, and the body."""

from __future__ import annotations

from typing import TypeVar

import trio

from .incoming import Receiver

Label = TypeVar("Label", int, bytes)


class Labelled(Receiver, trio.abc.ReceiveChannel[tuple[Label, bytes]]):
    """Receive pairs from each peer in turn: ``(routing_id, body)``, or with a Dish ``(group, body)``."""

    _translates = True

    async def receive(self) -> tuple[Label, bytes]:
        """Receive ``(routing_id, body)``, or with a Dish ``(group, body)``. Waits while there is no message.

        A receive that need not wait is a checkpoint only once per turn: 256 messages, or 1 MiB of messages of 8 KiB and
        more. A cancelled receive has taken no message. Raises ``trio.ClosedResourceError`` when the socket is closed.
        """
        for of_run in self._run:
            return of_run  # type: ignore[no-any-return]
        pair: tuple[Label, bytes] = await self._next("receive")
        return pair

    __anext__ = receive

    def receive_nowait(self) -> tuple[Label, bytes]:
        """Receive a pair as `receive` does. Raises ``trio.WouldBlock`` if there is none."""
        self._check_open()
        pair: tuple[Label, bytes] = self._pop()
        return pair
