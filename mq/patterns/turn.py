"""How long is a turn? As many messages as one task may pass before the others are let run."""

from __future__ import annotations

from typing import Unpack

from ..options import OptionArguments
from ..socket import Socket

TURN = 256


class SendsInTurns(Socket):
    """Let the others run once in so many sends, and grant a part of a turn as a run that needs no look around."""

    def __init__(self, **options: Unpack[OptionArguments]) -> None:
        super().__init__(**options)
        self._send_turn = TURN

    def _end_send_run(self) -> None:
        self._sent -= self._send_run
        self._send_turn += self._send_run
        self._send_run = 0
