"""What ends a command early? Something wrong with how it was called, or with what happened then."""

from __future__ import annotations


class Misused(Exception):
    """The command line asks for what cannot be: exit status 2."""


class Trouble(Exception):
    """Something went wrong on the way: exit status 1."""
