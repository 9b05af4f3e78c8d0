"""What does the family machine say and remember? Its orders to the supervisor, and one record for each child."""

from __future__ import annotations

from typing import Literal

from attrs import Factory, define, frozen

from actors.values.reasons import Reason
from actors.values.spec import Backoff, Restart

State = Literal["down", "starting", "up", "stopping", "waiting"]
RUNNING = ("starting", "up", "stopping")


@frozen
class Start:
    """Start an incarnation; answer with `ready`, and with `ended` when it has ended."""

    name: str
    generation: int


@frozen
class Stop:
    """Stop this incarnation; `ended` follows."""

    name: str
    generation: int


@frozen
class Died:
    """Tell everybody. `final`: no incarnation follows unless one is asked for by hand."""

    name: str
    generation: int
    following: int
    reason: Reason
    final: bool


@frozen
class Gone:
    """The child is forgotten."""

    name: str


@frozen
class Settled:
    """A start by hand succeeded (None) or failed."""

    name: str
    reason: Reason | None


@frozen
class Retried:
    """A restart failed; the next attempt follows."""

    name: str
    reason: Reason


@frozen
class Ends:
    """The supervisor has to end: its restarts are exhausted, or significant children have ended."""

    how: Literal["exhausted", "shut_down"]


Action = Start | Stop | Died | Gone | Settled | Retried | Ends


@define(eq=False)
class Kid:
    """What is known of one child."""

    name: str
    restart: Restart
    backoff: Backoff
    significant: bool
    generation: int  # of the incarnation that runs, or of the next
    state: State = "down"
    begun: bool = False
    held: bool = False  # stopped by hand
    awaited: bool = False  # started by hand, and not settled
    first: bool = False  # its first start is under way; if that fails the child is forgotten
    failures: int = 0
    restarts: int = 0
    since: float = 0.0
    reason: Reason | None = None


@define(eq=False)
class Recovery:
    """Children on their way down (`sweep`) and then, from the time `at`, up again (`rise`)."""

    sweep: set[str] = Factory(set)
    rise: set[str] = Factory(set)
    at: float = 0.0
    order: list[str] = Factory(list)  # of those to sweep, the next one last
