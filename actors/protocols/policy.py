"""A child ended: what now? OTP's clauses as tables; no clock, no randomness, no I/O."""

from collections.abc import Callable, Sequence

from attrs import frozen

from actors.values.reasons import Reason
from actors.values.spec import Backoff, Restart, Strategy


@frozen
class Member:
    """What the policy needs to know of one child."""

    name: str
    restart: Restart


@frozen
class Budget:
    """How many restarts a supervisor may make, and the times of those it made, newest first."""

    intensity: int
    period: float
    times: tuple[float, ...] = ()

    def spend(self, now: float) -> tuple[bool, "Budget"]:
        """Count one restart. Allowed if no more than `intensity` lie within `period` (OTP: add_restart)."""
        times = (now, *(time for time in self.times if time >= now - self.period))
        return len(times) <= self.intensity, Budget(self.intensity, self.period, times)


@frozen
class Leave:
    """Keep it on the list, down, until somebody restarts it by hand."""


@frozen
class Remove:
    """Forget it."""


@frozen
class Again:
    """Stop `stop` in this order, drop `drop` of them, start `start` in this order."""

    stop: tuple[str, ...]
    drop: tuple[str, ...]
    start: tuple[str, ...]
    budget: Budget


@frozen
class GiveUp:
    """The budget is spent: stop everything and end."""

    budget: Budget


Decision = Leave | Remove | Again | GiveUp

# (restart type, ended clean) -> what to do with the child that ended
AFTER_EXIT: dict[tuple[Restart, bool], type[Leave] | type[Remove] | type[Again]] = {
    ("permanent", True): Again,
    ("permanent", False): Again,
    ("transient", True): Leave,
    ("transient", False): Again,
    ("temporary", True): Remove,
    ("temporary", False): Remove,
}

# strategy -> the siblings that share the fate of the child at this index
SWEPT: dict[Strategy, Callable[[Sequence[Member], int], Sequence[Member]]] = {
    "one_for_one": lambda members, index: (),
    "rest_for_one": lambda members, index: members[index + 1 :],
    "one_for_all": lambda members, index: (*members[:index], *members[index + 1 :]),
}


def after_exit(
    members: Sequence[Member], name: str, strategy: Strategy, exit: Reason, budget: Budget, now: float
) -> Decision:
    """Decide after a running child ended by itself; `members` stand in start order."""
    member = next(member for member in members if member.name == name)
    action = AFTER_EXIT[member.restart, exit.clean]
    if action is Again:
        return again(members, name, strategy, budget, now)
    return Leave() if action is Leave else Remove()


def again(members: Sequence[Member], name: str, strategy: Strategy, budget: Budget, now: float) -> Decision:
    """Decide on one more attempt, after an exit or a restart that failed; each costs one of the budget."""
    allowed, spent = budget.spend(now)
    if not allowed:
        return GiveUp(spent)
    index = next(index for index, member in enumerate(members) if member.name == name)
    swept = SWEPT[strategy](members, index)
    dropped = {member.name for member in swept if member.restart == "temporary"}
    up = {member.name for member in swept} - dropped | {name}
    return Again(
        stop=tuple(member.name for member in reversed(swept)),
        drop=tuple(member.name for member in swept if member.name in dropped),
        start=tuple(member.name for member in members if member.name in up),
        budget=spent,
    )


def delay(backoff: Backoff, failures: int, luck: float) -> float:
    """Seconds to wait before the attempt after `failures` (1 or more) in a row; `luck` lies in [0, 1)."""
    try:
        plain = backoff.initial * backoff.factor ** (failures - 1)
    except OverflowError:
        plain = backoff.maximum
    return min(plain, backoff.maximum) * (1 + backoff.jitter * (2 * luck - 1))


def failures_in_a_row(backoff: Backoff, before: int, uptime: float) -> int:
    """Count this exit: a child that stayed up long enough starts a new row."""
    return 1 if uptime >= backoff.healthy else before + 1
