"""How is a message received with what came along with it? As a pair: of a number or a group, and the body."""

from __future__ import annotations

from typing import TypeVar

import trio

from .incoming import Receiver

Label = TypeVar("Label", int, bytes)


class Labelled(Receiver, trio.abc.ReceiveChannel[tuple[Label, bytes]]):
    """Receive pairs, from each peer that has some in turn: ``(routing_id, body)``, or a Dish ``(group, body)``."""

    _translates = True

    async def receive(self) -> tuple[Label, bytes]:
        """Receive ``(routing_id, body)``, or with a Dish ``(group, body)``; waits while there is nothing.

        A receive that need not wait is a checkpoint only at every 256th message. Cancelled, it has received nothing.
        Raises ``trio.ClosedResourceError``.
        """
        for of_run in self._run:
            return of_run  # type: ignore[no-any-return]
        pair: tuple[Label, bytes] = await self._next("receive")
        return pair

    __anext__ = receive

    def receive_nowait(self) -> tuple[Label, bytes]:
        """Receive a pair if there is one, else raise ``trio.WouldBlock``."""
        self._check_open()
        pair: tuple[Label, bytes] = self._pop()
        return pair
