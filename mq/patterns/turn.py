"""How long is a turn? 256 messages or 1 MiB, which one task may send or receive before other tasks run."""

from __future__ import annotations

from typing import Unpack

from ..options import OptionArguments
from ..pipe import UNIT, Lane
from ..socket import Socket

TURN = 256
"""The messages of a turn."""

TURN_SIZE = TURN * UNIT
"""The bytes of a turn: 1 MiB.

Only messages of 8 KiB and more are counted, because measuring every message would cost too much. 256 smaller messages
have at most 2 MiB.
"""


class SendsInTurns(Socket):
    """Let other tasks run after each turn of sends. A part of a turn can be a run: sends without checks."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._send_turn = TURN

    def _end_send_run(self) -> None:
        self._sent -= self._send_run
        self._send_turn += self._send_run
        self._send_run = 0

    def _spend(self, size: int, lane: Lane | None = None) -> None:
        """Subtract the ``size`` bytes of a large message, which goes into ``lane``, from the run or the turn."""
        if lane is not None:
            lane.bulky = True
        units = size // UNIT
        given_up = min(self._send_run, units)
        self._send_run -= given_up
        self._sent -= given_up
        self._send_turn -= units - given_up

    @property
    def _may_send_on(self) -> bool:
        """Whether the turn goes on: the next send does not let other tasks run first."""
        return self._send_run > 0 or self._send_turn > 0
