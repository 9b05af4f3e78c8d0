"""Which errors end a command? A wrong command line, or a problem while running."""

from __future__ import annotations


class Misused(Exception):
    """The command line, an option or an endpoint is wrong. The exit status is 2."""


class Trouble(Exception):
    """A problem occurred while running. The exit status is 1."""
