"""How long is a turn? As many messages as one task may pass before the others are let run."""

TURN = 256
