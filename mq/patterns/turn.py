"""How long is a turn? As many messages, or bytes of large ones, as one task may pass before the others are let run."""

from __future__ import annotations

from typing import Unpack

from ..options import OptionArguments
from ..pipe import UNIT, Lane
from ..socket import Socket

TURN = 256
"""Messages of a turn."""

TURN_SIZE = TURN * UNIT
"""Bytes of a turn, 1 MiB. Only large messages are counted: to look at the size of each would cost too much, and those
that are not large have 2 MiB in a turn at most."""


class SendsInTurns(Socket):
    """Let the others run once in so many sends, and grant a part of a turn as a run that needs no look around."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._send_turn = TURN

    def _end_send_run(self) -> None:
        self._sent -= self._send_run
        self._send_turn += self._send_run
        self._send_run = 0

    def _spend(self, size: int, lane: Lane | None = None) -> None:
        """Count the ``size`` bytes of a large message, which goes into ``lane``: the run or the turn gets shorter."""
        if lane is not None:
            lane.bulky = True
        units = size // UNIT
        given_up = min(self._send_run, units)
        self._send_run -= given_up
        self._sent -= given_up
        self._send_turn -= units - given_up

    @property
    def _may_send_on(self) -> bool:
        """The turn is not over: the next send does not let others run first."""
        return self._send_run > 0 or self._send_turn > 0
