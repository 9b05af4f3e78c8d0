"""Which child of a supervisor starts, stops or waits next? OTP's rules as a machine without clock, tasks or I/O.

Events are methods (`add`, `start`, `ready`, `ended`, `stop`, `delete`, `close`, `tick`); what has to be done is
collected in `actions`, in order. The state of a child:

    down ──start──▶ starting ──ready──▶ up ──────ended: policy──────┐
     ▲                 │ ▲               │                          │
     │◀─ended, by hand─┘ └───tick────┐   stop, sweep                ▼
     │                               │   ▼                          │
     └◀──────────ended────────── stopping ──ended──▶ waiting ◀──────┘

A *recovery* takes children down in reverse order and brings them up in order, one at a time. A crash that
concerns a child of a recovery under way is merged into it.

Invariants:

1. A child has at most one incarnation, from its Start to its `ended`.
2. Each incarnation that was ready has exactly one Died; generations only grow.
3. A child that was stopped by hand starts only by hand.
4. A start by hand is Settled exactly once.
5. Within a recovery one child at a time starts or stops, and none starts before all have stopped.
6. When no incarnation starts or stops and no deadline is ahead, no child is waiting.
7. A child is down only after a Died that is final (or before its first start), so nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.protocols import policy
from actors.protocols.orders import (
    RUNNING,
    Action,
    Died,
    Ends,
    Gone,
    Kid,
    Recovery,
    Retried,
    Settled,
    Start,
    State,
    Stop,
)  # fmt: skip
from actors.protocols.policy import Budget, GiveUp, Leave, Member, Remove
from actors.values.reasons import Reason, Shutdown
from actors.values.spec import AutoShutdown, Backoff, Restart, Strategy


class Family:
    """The children of one supervisor."""

    def __init__(
        self, strategy: Strategy, budget: Budget, auto_shutdown: AutoShutdown = "never", generation: int = 0
    ) -> None:
        self.actions: list[Action] = []
        self.kids: dict[str, Kid] = {}
        self.causes: list[tuple[str, Reason]] = []  # of the restarts in the budget, oldest first
        self.closing = False
        self.ending = False
        self._strategy: Strategy = strategy
        self._budget = budget
        self._auto_shutdown = auto_shutdown
        self._generation = generation
        self._recoveries: list[Recovery] = []

    # -- what one may ask of it

    def add(self, name: str, restart: Restart, backoff: Backoff, significant: bool = False) -> Kid:
        """Enter a child; it is down until `start`."""
        kid = self.kids[name] = Kid(name, restart, backoff, significant, self._next_generation())
        return kid

    def start(self, name: str) -> None:
        """Start a child that is down, by hand: a failure is final, and that of the first start forgets the child."""
        kid = self.kids[name]
        assert kid.state == "down"
        kid.first = not kid.begun
        kid.held, kid.begun, kid.awaited, kid.failures = False, True, True, 0
        self._start(kid)

    def stop(self, name: str, now: float) -> None:
        """Stop a child by hand; it is down at once or after its `ended`, and stays so."""
        kid = self.kids[name]
        kid.held = True
        for recovery in self._recoveries:
            recovery.rise.discard(name)
        if kid.state in ("starting", "up"):
            self._stop(kid)
        elif kid.state in ("waiting", "down"):
            self._rest(kid)
        self._advance_all(now)

    def delete(self, name: str) -> None:
        """Forget a child that is down."""
        assert self.kids[name].state == "down"
        self._forget(self.kids[name])

    def close(self, now: float) -> None:
        """Stop all children in reverse order; `closed` once they have ended."""
        self.closing = self.ending = True
        for kid in self.kids.values():
            kid.held = True
        self._recoveries = [Recovery(sweep=set(self.kids), order=list(self.kids))]
        self._advance_all(now)

    @property
    def closed(self) -> bool:
        return self.closing and not self._recoveries

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        if self.ending:
            return None
        times = [one.at for one in self._recoveries if not one.sweep and not self._rising(one)]
        return min(times, default=None)

    # -- what happens

    def tick(self, now: float) -> None:
        """Start what has waited long enough."""
        self._advance_all(now)

    def ready(self, name: str, generation: int, now: float) -> None:
        """An incarnation serves."""
        kid = self.kids.get(name)
        if kid is None or kid.generation != generation or kid.state != "starting":
            return
        kid.state, kid.since = "up", now
        self._settle(kid, None)
        self._advance_all(now)

    def ended(self, name: str, generation: int, reason: Reason, now: float, luck: float = 0.5) -> None:
        """An incarnation has ended, whatever the cause; `luck` in [0, 1) spreads the delay of a restart."""
        kid = self.kids[name]
        assert kid.generation == generation
        if any(name in recovery.sweep for recovery in self._recoveries) or kid.state == "stopping":
            self._swept(kid, reason)
        elif kid.state == "starting":
            self._not_started(kid, reason, now, luck)
        else:
            self._exited(kid, reason, now, luck)
        self._advance_all(now)

    # -- one child

    def _next_generation(self) -> int:
        self._generation += 1
        return self._generation

    def _start(self, kid: Kid) -> None:
        kid.state = "starting"
        self.actions.append(Start(kid.name, kid.generation))

    def _stop(self, kid: Kid) -> None:
        kid.state = "stopping"
        self.actions.append(Stop(kid.name, kid.generation))

    def _settle(self, kid: Kid, reason: Reason | None) -> None:
        if kid.awaited:
            kid.awaited = False
            self.actions.append(Settled(kid.name, reason))
            if kid.first and reason is not None:
                self._forget(kid)
            kid.first = False

    def _died(self, kid: Kid, state: State, reason: Reason) -> None:
        generation, kid.generation = kid.generation, self._next_generation()
        kid.state, kid.reason = state, reason
        self.actions.append(Died(kid.name, generation, kid.generation, reason, final=state == "down"))

    def _rest(self, kid: Kid) -> None:
        """Nothing runs, and nothing will: whoever waits for it must hear of that."""
        if kid.state == "waiting":
            self._died(kid, "down", kid.reason or Shutdown())
            self._settle(kid, kid.reason)
        if kid.restart == "temporary" and kid.held and not self.closing:
            self._forget(kid)

    def _forget(self, kid: Kid) -> None:
        if self.kids.get(kid.name) is kid:
            for recovery in self._recoveries:
                recovery.sweep.discard(kid.name)
                recovery.rise.discard(kid.name)
            del self.kids[kid.name]
            self.actions.append(Gone(kid.name))

    def _swept(self, kid: Kid, reason: Reason) -> None:
        """It ended because it was stopped, or just before: that costs nothing of the budget."""
        rises = any(kid.name in recovery.rise for recovery in self._recoveries)
        for recovery in self._recoveries:
            recovery.sweep.discard(kid.name)
        self._died(kid, "waiting" if rises else "down", reason)
        if not rises:
            self._settle(kid, reason)
            if kid.restart == "temporary" and not self.closing:
                self._forget(kid)

    def _not_started(self, kid: Kid, reason: Reason, now: float, luck: float) -> None:
        if kid.awaited:  # OTP: a first start is never retried
            for recovery in self._recoveries:
                recovery.rise.discard(kid.name)
            self._died(kid, "down", reason)
            self._settle(kid, reason)
            return
        kid.failures += 1
        kid.reason, kid.state = reason, "waiting"
        self.actions.append(Retried(kid.name, reason))
        self._again(kid, reason, policy.again(self._members(), kid.name, self._strategy, self._budget, now), now, luck)

    def _exited(self, kid: Kid, reason: Reason, now: float, luck: float) -> None:
        kid.failures = policy.failures_in_a_row(kid.backoff, kid.failures, now - kid.since)
        decision = policy.after_exit(self._members(), kid.name, self._strategy, reason, self._budget, now)
        if isinstance(decision, Leave | Remove):
            self._died(kid, "down", reason)
            if isinstance(decision, Remove):
                self._forget(kid)
            self._shut_down_after(kid)
            return
        self._died(kid, "down" if isinstance(decision, GiveUp) else "waiting", reason)
        self._again(kid, reason, decision, now, luck)

    def _shut_down_after(self, ended: Kid) -> None:
        """OTP's auto_shutdown: only a child that ended by itself counts."""
        if self._auto_shutdown == "never" or not ended.significant or self.ending:
            return
        others = [kid for kid in self.kids.values() if kid.significant and kid.state != "down"]
        if self._auto_shutdown == "any_significant" or not others:
            self.ending = True
            self.actions.append(Ends("shut_down"))

    # -- recoveries

    def _members(self) -> Sequence[Member]:
        return [Member(kid.name, kid.restart) for kid in self.kids.values() if kid.begun and not kid.held]

    def _again(self, kid: Kid, reason: Reason, decision: policy.Decision, now: float, luck: float) -> None:
        assert isinstance(decision, policy.Again | GiveUp)
        self._budget = decision.budget
        self.causes = [*self.causes, (kid.name, reason)][-(self._budget.intensity + 1) :]
        if isinstance(decision, GiveUp):
            for recovery in self._recoveries:
                recovery.rise.discard(kid.name)
            self._rest(kid)
            if not self.ending:
                self.ending = True
                self.actions.append(Ends("exhausted"))
            return
        recovery = self._recovery({kid.name, *decision.stop})
        recovery.sweep |= {name for name in decision.stop if self.kids[name].state in RUNNING}
        recovery.order = [name for name in self.kids if name in recovery.sweep]
        recovery.rise |= set(decision.start)
        for name in decision.start:
            down = self.kids[name]
            if down.state == "down":  # a transient child that had ended comes back with its group, as in OTP
                down.state = "waiting"
        recovery.at = max(recovery.at, now + policy.delay(kid.backoff, kid.failures, luck))

    def _recovery(self, names: set[str]) -> Recovery:
        """The recovery for these children: a new one, merged with those under way that share a child."""
        merged = Recovery()
        for other in list(self._recoveries):
            if names & (other.sweep | other.rise):
                self._recoveries.remove(other)
                merged.sweep |= other.sweep
                merged.rise |= other.rise
                merged.at = max(merged.at, other.at)
        self._recoveries.append(merged)
        return merged

    def _rising(self, recovery: Recovery) -> bool:
        return any(self.kids[name].state == "starting" for name in recovery.rise)

    def _advance_all(self, now: float) -> None:
        for recovery in list(self._recoveries):
            self._sweep(recovery)
            if not recovery.sweep and not (recovery.rise and self.ending):
                self._raise(recovery, now)
            if not recovery.sweep and not recovery.rise and recovery in self._recoveries:
                self._recoveries.remove(recovery)

    def _sweep(self, recovery: Recovery) -> None:
        """Stop the last one that runs; children that are down already are done."""
        while recovery.order:
            name = recovery.order[-1]
            if name in recovery.sweep:
                kid = self.kids[name]
                if kid.state in RUNNING:
                    if kid.state != "stopping":
                        self._stop(kid)
                    return
                recovery.sweep.discard(name)
                self._rest(kid)
            recovery.order.pop()

    def _raise(self, recovery: Recovery, now: float) -> None:
        """Start the first one that is not up yet."""
        for name in [name for name in self.kids if name in recovery.rise]:
            kid = self.kids[name]
            if kid.state == "waiting" and now >= recovery.at:
                kid.restarts += 1
                self._start(kid)
            if kid.state in ("waiting", "starting"):
                return
            recovery.rise.discard(name)  # up, or it has already ended for good
