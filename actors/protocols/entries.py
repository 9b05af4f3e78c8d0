"""What does the board of a tree remember of one child?"""

from __future__ import annotations

from typing import Literal

from attrs import Factory, define

from actors.values.messages import Address
from actors.values.reasons import Reason

State = Literal["waiting", "starting", "up", "down"]
EPOCH = 32  # bits of a generation that count the children of one supervisor incarnation


@define(eq=False)
class Entry:
    """A child, and what it has announced if it is a supervisor."""

    uid: str
    parent: Entry | None
    generation: int  # of the incarnation that runs, or of the next
    state: State = "waiting"
    about: bytes = b""  # the packed reference
    nested: bool = False  # a supervisor
    node: Address = ""
    home: Address = ""  # its own node, if it does not share its supervisor's
    capacity: int = 0
    reason: Reason | None = None  # of its last death
    watchers: dict[Address, None] = Factory(dict)
    children: dict[str, Entry] = Factory(dict)
    listed: bool = False  # the running incarnation has announced the children it begins with
    seen: int = 0  # the highest generation among its children
