"""What does a supervisor do? It starts children, watches them, asks the policy, and obeys."""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import trio
from attrs import define, frozen

from actors import scopes
from actors.codec import pack
from actors.errors import (
    ActorDied,
    ChildExists,
    ChildRunning,
    NoSuchChild,
    RestartsExhausted,
    StartFailed,
)  # fmt: skip
from actors.life.actor import Actor, concurrent
from actors.nodes.node import Node
from actors.nodes.references import Ref
from actors.protocols import policy
from actors.protocols.policy import Again, Budget, GiveUp, Leave, Member, Remove
from actors.supervision.incarnation import Incarnation
from actors.values.messages import Address, Context, Down, Up
from actors.values.reasons import Crashed, Reason, Shutdown
from actors.values.spec import Child, Spec, Supervisor
from actors.values.uids import uid_below

log = logging.getLogger("actors")
State = Literal["down", "starting", "up", "stopping", "waiting"]


@frozen
class ChildInfo:
    """One child of a supervisor, as `children()` tells it. `reason`: why it ended last."""

    name: str
    state: State
    place: str
    restart: str
    restarts: int
    reason: Reason | None
    ref: Ref[Any]


@frozen
class Counts:
    """OTP's count_children: all specs, those alive, and how many of the specs are supervisors or actors."""

    specs: int
    active: int
    supervisors: int
    workers: int


@define(eq=False)
class Slot:
    """A child's place in the list: it stays while incarnations come and go."""

    spec: Spec
    name: str
    ref: Ref[Any]
    payload: list[bytes]
    generation: int  # of the incarnation that runs, or of the next
    state: State = "down"
    turn: int = 0  # every order takes a new one; whoever comes back to an older turn has been overruled
    child: Incarnation | None = None
    failures: int = 0
    restarts: int = 0
    since: float = 0.0
    reason: Reason | None = None
    held: bool = False  # stopped by hand: only restarted by hand

    def claim(self) -> int:
        self.turn += 1
        return self.turn


class Keeper:
    """A running supervisor."""

    def __init__(self, spec: Supervisor, context: Context, node: Node, nursery: trio.Nursery) -> None:
        self.spec = spec
        self.context = context
        self.node = node
        self.failure: BaseException | None = None
        self.lineage = ((context.uid, node.address), *context.lineage)
        self._body = trio.CancelScope()
        self._nursery = nursery
        self._slots: dict[str, Slot] = {}
        self._generations = itertools.count((context.generation << 32) + 1)
        self._budget = Budget(spec.intensity, spec.period)
        self._causes: list[tuple[str, Reason]] = []
        self._closing = False
        self._changed = trio.lowlevel.ParkingLot()
        self.shut_down = trio.Event()
        node.board.name(context.uid, self._find)

    # -- what one may ask of it

    async def start(self, spec: Spec) -> Ref[Any]:
        """Add a child and wait until it is ready. Raises ChildExists, StartFailed; then it is not kept."""
        slot = self._add(spec)
        await self._first_start(slot)
        return slot.ref

    async def stop(self, name: str) -> None:
        """Stop a child and keep its spec (a temporary child is forgotten); a pending restart is dropped."""
        slot = self._slot(name)
        slot.held = True
        slot.claim()
        await self._halt(slot, final=True)
        if slot.spec.restart == "temporary":
            self._remove(slot)

    async def restart(self, name: str) -> Ref[Any]:
        """Start a child that is down. Raises ChildRunning, StartFailed; the spec is kept."""
        slot = self._slot(name)
        if slot.state != "down":
            raise ChildRunning(f"{slot.ref.name} is {slot.state}")
        slot.held = False
        slot.failures = 0
        reason = await self._attempt(slot, slot.claim())
        if reason is not None:
            raise _start_failed(slot, reason)
        return slot.ref

    def delete(self, name: str) -> None:
        """Forget a child that is down. Raises ChildRunning."""
        slot = self._slot(name)
        if slot.state != "down":
            raise ChildRunning(f"{slot.ref.name} is {slot.state}; stop it first")
        self._remove(slot)

    def children(self) -> list[ChildInfo]:
        """The children in start order."""
        return [
            ChildInfo(
                slot.name, slot.state, slot.spec.place, slot.spec.restart, slot.restarts, slot.reason, slot.ref
            )
            for slot in self._slots.values()
        ]

    def count(self) -> Counts:
        slots = list(self._slots.values())
        supervisors = sum(isinstance(slot.spec, Supervisor) for slot in slots)
        active = sum(slot.state in ("up", "stopping") for slot in slots)
        return Counts(len(slots), active, supervisors, len(slots) - supervisors)

    def get(self, name: str) -> Ref[Any]:
        return self._slot(name).ref

    async def wait_idle(self) -> None:
        """Wait until every child is down for good."""
        await trio.lowlevel.checkpoint()
        while any(slot.state != "down" for slot in self._slots.values()):
            await self._changed.park()

    # -- beginning and end

    async def start_all(self) -> None:
        """First start: left to right, each waits until it is ready; the first failure is final."""
        slots = [self._add(spec) for spec in self.spec.children]
        for slot in slots:
            reason = await self._attempt(slot, slot.claim())
            if reason is not None:
                raise _start_failed(slot, reason)

    async def stop_all(self) -> None:
        """Stop right to left."""
        self._closing = True
        for slot in reversed(list(self._slots.values())):
            slot.claim()
            await self._halt(slot, final=True)
        for slot in list(self._slots.values()):
            self._remove(slot)
        self.node.board.unname(self.context.uid)

    # -- slots

    def _slot(self, name: str) -> Slot:
        try:
            return self._slots[name]
        except KeyError:
            raise NoSuchChild(f"{self.context.name} has no child {name!r}") from None

    def _find(self, name: str) -> Ref[Any] | None:
        slot = self._slots.get(name)
        return None if slot is None else slot.ref

    def _add(self, spec: Spec) -> Slot:
        if self._closing:
            raise trio.ClosedResourceError(f"{self.context.name} is stopping")
        name = spec.name or self._free_name(spec.label)
        if name in self._slots:
            raise ChildExists(f"{self.context.name} already has a child {name!r}")
        generation = next(self._generations)
        uid = uid_below(self.context.uid, name)
        cls, args, kwargs = _construction(spec)
        ref: Ref[Any] = Ref(
            f"{self.context.name}/{name}", uid, f"{self.node.directory}/{uid}", self.lineage, cls.messages, self.node
        )
        slot = self._slots[name] = Slot(spec, name, ref, pack((cls, args, kwargs)), generation)
        self.node.board.put(Up(uid, generation, ""))
        return slot

    def _free_name(self, label: str) -> str:
        if label not in self._slots:
            return label
        return next(name for n in itertools.count(2) if (name := f"{label}-{n}") not in self._slots)

    def _remove(self, slot: Slot) -> None:
        if self._slots.get(slot.name) is slot:
            del self._slots[slot.name]
            self.node.board.remove(slot.ref.uid)

    # -- one child

    async def _first_start(self, slot: Slot) -> None:
        try:
            reason = await self._attempt(slot, slot.claim())
        except BaseException:
            with trio.CancelScope(shield=True):
                slot.claim()
                await self._halt(slot, final=True)
            self._remove(slot)
            raise
        if reason is not None:
            self._down(slot, slot.generation, reason, final=True)
            self._remove(slot)
            raise _start_failed(slot, reason)

    async def _attempt(self, slot: Slot, turn: int) -> Reason | None:
        """Start the slot's next incarnation; None once it serves, else why it does not."""
        me = self.context
        capacity = slot.spec.mailbox if isinstance(slot.spec, Child) else 1000
        context = Context(
            slot.ref.name, slot.ref.uid, slot.generation, self.node.directory, capacity, self.lineage
        )
        child = slot.child = Incarnation(slot.spec.place, context, slot.payload, self.node)
        slot.state = "starting"
        slot.since = trio.current_time()
        self._nursery.start_soon(self._live, slot, child, name=f"{me.name}/{slot.name}")
        reason = await child.wait_serving(slot.spec.start_timeout)
        if reason is not None and slot.turn == turn:
            slot.reason = reason
            slot.state = "down"
        return reason

    async def _live(self, slot: Slot, child: Incarnation) -> None:
        await child.run(lambda child, node: self._serving(slot, child, node))
        served = slot.state in ("up", "stopping") and slot.generation == child.generation
        if slot.child is child:
            slot.child = None
            if served and not child.stopping and not self._closing:
                self._ended(slot, child)

    def _serving(self, slot: Slot, child: Incarnation, node: Address) -> None:
        slot.since = trio.current_time()
        if slot.child is child and not child.stopping:
            slot.state = "up"
        self.node.board.put(Up(slot.ref.uid, child.generation, node))

    def _down(self, slot: Slot, generation: int, reason: Reason, final: bool) -> None:
        slot.reason = reason
        slot.generation = next(self._generations)
        self._changed.unpark_all()
        self.node.board.put(Down(slot.ref.uid, generation, slot.generation, reason, final))

    async def _halt(self, slot: Slot, final: bool) -> None:
        """Stop what runs in a slot, and tell."""
        child = slot.child
        if child is None:
            slot.state = "down"
            if final and slot.reason is not None:
                self._down(slot, slot.generation, slot.reason, final)
            elif final:
                self._down(slot, slot.generation, Shutdown(), final)
            return
        slot.state = "stopping"
        await child.stop(slot.spec.shutdown)
        slot.state = "down"
        self._down(slot, child.generation, child.reason or Shutdown(), final)

    # -- when a child ended by itself

    def _ended(self, slot: Slot, child: Incarnation) -> None:
        reason = child.reason
        assert reason is not None
        if not (reason.clean and slot.spec.restart != "permanent"):
            log.warning("%s %s", slot.ref.name, reason)
        now = trio.current_time()
        slot.failures = policy.failures_in_a_row(slot.spec.backoff, slot.failures, now - slot.since)
        decision = policy.after_exit(self._members(), slot.name, self.spec.strategy, reason, self._budget, now)
        slot.state = "waiting" if isinstance(decision, Again) else "down"
        self._down(slot, child.generation, reason, final=not isinstance(decision, Again))
        if isinstance(decision, Leave | Remove):
            if isinstance(decision, Remove):
                self._remove(slot)
            self._shut_down_after(slot)
        elif isinstance(decision, Again | GiveUp):
            self._spend(slot, reason, decision)
            if isinstance(decision, Again):
                self._nursery.start_soon(self._recover, slot, decision)

    def _shut_down_after(self, ended: Slot) -> None:
        """OTP's auto_shutdown: only a child that ended by itself counts."""
        if self.spec.auto_shutdown == "never" or not ended.spec.significant:
            return
        others = [slot for slot in self._slots.values() if slot.spec.significant and slot.state != "down"]
        if self.spec.auto_shutdown == "any_significant" or not others:
            self.shut_down.set()
            self._body.cancel()

    def _members(self) -> list[Member]:
        return [Member(slot.name, slot.spec.restart) for slot in self._slots.values() if not slot.held]

    def _spend(self, slot: Slot, reason: Reason, decision: Again | GiveUp) -> None:
        self._budget = decision.budget
        self._causes = [*self._causes, (slot.ref.name, reason)][-(self.spec.intensity + 1) :]
        if isinstance(decision, GiveUp):
            slot.state = "down"
            self.failure = RestartsExhausted(
                self.context.name, self.spec.intensity, self.spec.period, self._causes
            )
            self._body.cancel()

    async def _recover(self, slot: Slot, decision: policy.Decision) -> None:
        """Carry out restarts until one succeeds, the budget is spent, or a later order overrules this one."""
        while isinstance(decision, Again):
            failed = await self._round(slot, decision)
            if failed is None:
                return
            slot, reason = failed
            log.warning("%s did not start again: %s", slot.ref.name, reason)
            slot.failures += 1
            decision = policy.again(
                self._members(), slot.name, self.spec.strategy, self._budget, trio.current_time()
            )
            assert isinstance(decision, Again | GiveUp)
            self._spend(slot, reason, decision)

    async def _round(self, slot: Slot, decision: Again) -> tuple[Slot, Reason] | None:
        """One round of restarts; the slot that failed to start and why, or None."""
        turns = {name: self._slots[name].claim() for name in {*decision.stop, *decision.start}}
        for name in decision.stop:
            swept = self._slots.get(name)
            if swept is not None and swept.turn == turns[name]:
                await self._halt(swept, final=name in decision.drop)
                if name in decision.drop:
                    self._remove(swept)
        slot.state = "waiting"
        await trio.sleep(policy.delay(slot.spec.backoff, slot.failures, random.random()))
        for name in decision.start:
            again = self._slots.get(name)
            if again is None or again.turn != turns[name] or self._closing:
                continue
            again.restarts += 1
            reason = await self._attempt(again, turns[name])
            if reason is not None and again.turn == turns[name] and not self._closing:
                return again, reason
        return None


def _start_failed(slot: Slot, reason: Reason) -> StartFailed:
    error = StartFailed(slot.ref.name, reason)
    if isinstance(reason, Crashed):
        error.__cause__ = reason.exception
    return error


def _construction(spec: Spec) -> tuple[type[Actor], tuple[Any, ...], dict[str, Any]]:
    if isinstance(spec, Supervisor):
        return SupervisorActor, (spec,), {}
    return spec.cls, spec.args, dict(spec.kwargs)


@asynccontextmanager
async def open_keeper(spec: Supervisor, context: Context, node: Node) -> AsyncIterator[Keeper]:
    """Start the children of `spec`; leaving the block, however, stops all children in reverse order.

    Raises RestartsExhausted out of the block, which it cancels, when the restarts are spent.
    """
    async with scopes.apart(scopes.open_nursery()) as nursery:
        keeper = Keeper(spec, context, node, nursery)
        try:
            with keeper._body:
                await keeper.start_all()
                yield keeper
        finally:
            with trio.CancelScope(shield=True):
                try:
                    await keeper.stop_all()
                finally:
                    nursery.cancel_scope.cancel()
    if keeper.failure is not None:
        raise keeper.failure


class SupervisorActor(Actor):
    """A supervisor as the child of another: what `open_supervisor` gives, as messages."""

    def __init__(self, spec: Supervisor) -> None:
        self._spec = spec
        self._keeper: Keeper | None = None
        self._stop = trio.Event()
        self._stopped = trio.Event()

    async def started(self) -> None:
        await self.nursery.start(self._keep)

    async def stopping(self) -> None:
        self._stop.set()
        await self._stopped.wait()

    async def _keep(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            async with open_keeper(self._spec, self._life.context, self._life.node) as self._keeper:
                task_status.started()
                await self._stop.wait()
        finally:
            self._stopped.set()
        if self._keeper.shut_down.is_set():
            self._life.end(Shutdown())

    @property
    def _running(self) -> Keeper:
        if self._keeper is None:
            raise ActorDied(Shutdown(), self.name)
        return self._keeper

    @concurrent
    async def start(self, cls: type[Any] | Spec, *args: Any, **options: Any) -> Ref[Any]:
        """Start a child here; arguments and errors as for `open_supervisor().start`."""
        return await self._running.start(as_spec(cls, args, options))

    @concurrent
    async def halt(self, name: str) -> None:
        """Stop a child; it is kept, down."""
        await self._running.stop(name)

    @concurrent
    async def restart(self, name: str) -> Ref[Any]:
        return await self._running.restart(name)

    @concurrent
    async def delete(self, name: str) -> None:
        self._running.delete(name)

    @concurrent
    async def children(self) -> list[ChildInfo]:
        return self._running.children()

    @concurrent
    async def count(self) -> Counts:
        return self._running.count()

    @concurrent
    async def get(self, path: str) -> Ref[Any]:
        """The child called "name" or "supervisor/name"."""
        return await find_below(self._running, path)


async def find_below(keeper: Keeper, path: str) -> Ref[Any]:
    first, _, rest = path.partition("/")
    found: Ref[Any] = keeper.get(first)
    return await found.get(rest) if rest else found


def as_spec(cls: type[Any] | Spec, args: tuple[Any, ...], options: dict[str, Any]) -> Spec:
    """A Child from a class and options, or the spec that was given ready-made."""
    if isinstance(cls, Child | Supervisor):
        if args or options:
            raise TypeError("a ready-made Child or Supervisor takes no further arguments")
        return cls
    return Child(cls, *args, **options)
