"""How does a supervisor carry out what the family machine decides? It starts and stops incarnations, and tells."""

from __future__ import annotations

import itertools
import logging
import math
import random
from collections.abc import Callable
from typing import Any

import trio
from attrs import evolve

from actors.codec import pack
from actors.errors import (
    ChildExists,
    ChildRunning,
    NoSuchChild,
    RestartsExhausted,
    SpecError,
)  # fmt: skip
from actors.life.actor import Actor, messages_of
from actors.nodes.node import Node
from actors.nodes.references import Ref
from actors.protocols.family import Family
from actors.protocols.orders import Died, Ends, Gone, Retried, Settled, Start, Stop
from actors.protocols.policy import Budget
from actors.protocols.presence import News
from actors.supervision.incarnation import Incarnation
from actors.supervision.slots import ChildInfo, Counts, Settling, Slot, pack_construction, start_failed
from actors.values.messages import Address, Born, Buried, Context, Down, Listed, Starting, Target, Up
from actors.values.reasons import Crashed, Reason, Shutdown
from actors.values.spec import Child, Spec, Supervisor
from actors.values.uids import uid_below

log = logging.getLogger("actors")
ABANDONED = 0.2  # seconds to stop politely for a child whose start was cancelled


class Keeper:
    """A running supervisor."""

    def __init__(self, make: Callable[[Spec], type[Actor]], spec: Supervisor, context: Context, node: Node,
                 nursery: trio.Nursery) -> None:  # fmt: skip
        self.spec = spec
        self.context = context
        self.node = node
        self.failure: BaseException | None = None
        self.cause: BaseException | None = None
        self.shut_down = trio.Event()
        self.lineage = ((context.uid, context.generation), *context.lineage)
        self.body = trio.CancelScope()
        self._make = make
        self._nursery = nursery
        self._slots: dict[str, Slot] = {}
        self._settling: dict[str, Settling] = {}
        self._family = Family(
            spec.strategy, Budget(spec.intensity, spec.period), spec.auto_shutdown, context.generation << 32
        )
        self._changed = trio.lowlevel.ParkingLot()
        self._sooner = trio.lowlevel.ParkingLot()
        self._alarm: float | None = None  # the deadline that the clock waits for
        self._actions: dict[type[Any], Callable[[Any], None]] = {
            Start: self._start, Stop: self._stop, Died: self._died, Gone: self._gone,
            Settled: self._settled, Retried: self._retried, Ends: self._ends,
        }  # fmt: skip

    # -- what one may ask of it

    async def start(self, spec: Spec) -> Ref[Any]:
        """Add a child and wait until it is ready. Raises ChildExists, StartFailed; then it is not kept."""
        slot = self._add(spec)
        await self._wait_started(slot)
        return slot.ref

    async def stop(self, name: str) -> None:
        """Stop a child and keep its spec (a temporary child is forgotten); a pending restart is dropped."""
        kid = self._slot(name).kid
        self._family.stop(name, trio.current_time())
        generation = kid.generation
        self._obey()
        await trio.lowlevel.checkpoint()
        while kid.state == "stopping" and kid.generation == generation:
            await self._changed.park()

    async def restart(self, name: str) -> Ref[Any]:
        """Start a child that is down. Raises ChildRunning, StartFailed; the spec is kept."""
        slot = self._slot(name)
        self._check_open()
        if slot.kid.state != "down":
            raise ChildRunning(f"{slot.target.name} is {slot.kid.state}")
        await self._wait_started(slot)
        return slot.ref

    def delete(self, name: str) -> None:
        """Forget a child that is down. Raises ChildRunning."""
        slot = self._slot(name)
        if slot.kid.state != "down":
            raise ChildRunning(f"{slot.target.name} is {slot.kid.state}; stop it first")
        self._family.delete(name)
        self._obey()

    def children(self) -> list[ChildInfo]:
        """The children in start order."""
        return [
            ChildInfo(name, kid.state, slot.spec.place, kid.restart, kid.restarts, kid.reason, slot.ref)
            for name, slot in self._slots.items()
            if (kid := slot.kid)
        ]

    def count(self) -> Counts:
        slots = list(self._slots.values())
        supervisors = sum(isinstance(slot.spec, Supervisor) for slot in slots)
        active = sum(slot.kid.state in ("up", "stopping") for slot in slots)
        return Counts(len(slots), active, supervisors, len(slots) - supervisors)

    def get(self, name: str) -> Ref[Any]:
        return self._slot(name).ref

    async def wait_idle(self) -> None:
        """Wait until every child is down for good."""
        await trio.lowlevel.checkpoint()
        while any(slot.kid.state != "down" for slot in self._slots.values()):
            await self._changed.park()

    # -- beginning and end

    async def start_all(self) -> None:
        """First start: left to right, each waits until it is ready; the first failure is final."""
        slots = [self._add(spec) for spec in self.spec.children]
        self._announce(Listed())
        for slot in slots:
            await self._wait_started(slot, abandoned=math.inf)

    async def stop_all(self) -> None:
        """Stop right to left."""
        self._family.close(trio.current_time())
        self._obey()
        while not self._family.closed:
            await self._changed.park()
        self._slots.clear()

    async def clock(self) -> None:
        """Start children whose delay is over."""
        while True:
            self._alarm = self._family.deadline
            with trio.move_on_at(math.inf if self._alarm is None else self._alarm):
                await self._sooner.park()
            self._family.tick(trio.current_time())
            self._obey()

    # -- slots

    def _slot(self, name: str) -> Slot:
        try:
            return self._slots[name]
        except KeyError:
            raise NoSuchChild(f"{self.context.name} has no child {name!r}") from None

    def _announce(self, news: News) -> None:
        self.node.announce(self.context.board, self.lineage, news)

    def _check_open(self) -> None:
        if self._family.ending:
            raise trio.ClosedResourceError(f"{self.context.name} is stopping")

    def _add(self, spec: Spec) -> Slot:
        self._check_open()
        name = spec.name or self._free_name(spec.label)
        if name in self._slots:
            raise ChildExists(f"{self.context.name} already has a child {name!r}")
        uid = uid_below(self.context.uid, name)
        cls, args, kwargs = self._construction(spec)
        payload = pack_construction(spec.place, cls, args, kwargs)
        kid = self._family.add(name, spec.restart, spec.backoff, spec.significant)
        path, board = f"{self.context.name}/{name}", self.context.board
        target = Target(path, uid, kid.generation, self.lineage, board, messages_of(cls))
        slot = self._slots[name] = Slot(spec, kid, target, self.node, payload, shutdown=spec.shutdown)
        self._announce(Born(uid, kid.generation, pack(slot.ref)[0], isinstance(spec, Supervisor)))
        return slot

    def _construction(self, spec: Spec) -> tuple[type[Actor], tuple[Any, ...], dict[str, Any]]:
        if isinstance(spec, Supervisor):
            return self._make(spec), (spec,), {}
        if not issubclass(spec.cls, Actor):
            name = spec.cls.__name__
            raise SpecError(f"{name} is not an actor: write class {name.capitalize()}(actors.Actor), and start that")
        return spec.cls, spec.args, dict(spec.kwargs)

    def _free_name(self, label: str) -> str:
        if label not in self._slots:
            return label
        return next(name for n in itertools.count(2) if (name := f"{label}-{n}") not in self._slots)

    async def _wait_started(self, slot: Slot, abandoned: float = ABANDONED) -> None:
        """Start by hand; cancelled, stop again and kill after `abandoned` seconds, if `shutdown` is longer."""
        name, first = slot.kid.name, not slot.kid.begun
        settling = self._settling[name] = Settling()
        slot.shutdown = slot.spec.shutdown
        self._family.start(name)
        self._obey()
        try:
            await settling.done.wait()
        except BaseException:
            with trio.CancelScope(shield=True):
                slot.shutdown = min(slot.shutdown, abandoned)
                if self._slots.get(name) is slot:
                    await self.stop(name)
                if first and self._slots.get(name) is slot and slot.kid.state == "down":
                    self.delete(name)
            raise
        if settling.reason is not None:
            raise start_failed(slot, settling.reason)

    # -- what the family machine wants done

    def _obey(self) -> None:
        actions = self._family.actions
        while actions:
            action = actions.pop(0)
            self._actions[type(action)](action)
        self._changed.unpark_all()
        if self._family.deadline != self._alarm:
            self._sooner.unpark_all()

    def _start(self, action: Start) -> None:
        slot = self._slots[action.name]
        capacity = slot.spec.mailbox if isinstance(slot.spec, Child) else 1000
        uid = slot.target.uid
        own_node = slot.spec.place != "task"
        home = f"{self.node.directory}/{uid_below(uid, str(action.generation))}" if own_node else ""
        context = Context(
            slot.target.name, uid, action.generation, self.node.directory, capacity,
            self.lineage, self.context.board, home,
        )  # fmt: skip
        slot.target = evolve(slot.target, generation=action.generation)
        self._announce(Starting(uid, action.generation, home))
        slot.child = Incarnation(slot.spec.place, context, slot.payload, self.node)
        self._nursery.start_soon(self._live, slot, slot.child, name=slot.target.name)

    def _stop(self, action: Stop) -> None:
        slot = self._slots[action.name]
        assert slot.child is not None
        slot.child.stopping = True
        self._nursery.start_soon(slot.child.stop, slot.shutdown, name=f"stop {slot.target.name}")

    def _died(self, action: Died) -> None:
        uid = self._slots[action.name].target.uid
        self._announce(Down(uid, action.generation, action.following, action.reason, action.final))

    def _gone(self, action: Gone) -> None:
        self._announce(Buried(self._slots.pop(action.name).target.uid))

    def _settled(self, action: Settled) -> None:
        self._settling.pop(action.name).settle(action.reason)

    def _retried(self, action: Retried) -> None:
        log.warning("%s did not start again: %s", self._slots[action.name].target.name, action.reason)

    def _ends(self, action: Ends) -> None:
        if action.how == "shut_down":
            self.shut_down.set()
        else:
            causes = [(f"{self.context.name}/{name}", reason) for name, reason in self._family.causes]
            last = self._family.causes[-1][1]
            self.cause = last.exception if isinstance(last, Crashed) else None
            self.failure = RestartsExhausted(self.context.name, self.spec.intensity, self.spec.period, causes)
        self.body.cancel()

    # -- one incarnation

    async def _live(self, slot: Slot, child: Incarnation) -> None:
        try:
            await child.run(lambda child, node: self._serving(slot, child, node), slot.spec.start_timeout)
        except BaseException:
            self._family.ending = True  # Ctrl-C, on its way upwards: no child starts again
            raise
        finally:
            reason = child.reason or Shutdown()
            expected = child.stopping or (reason.clean and slot.spec.restart != "permanent")
            if slot.kid.state == "up" and not expected:
                self._report(slot, reason)
            slot.child = None
            self._family.ended(slot.kid.name, child.generation, reason, trio.current_time(), random.random())
            self._obey()

    def _report(self, slot: Slot, reason: Reason) -> None:
        """Log an end that was not asked for; of a crash that repeats itself, only that it does."""
        trace = reason.failure.frames if isinstance(reason, Crashed) else ""
        if trace and trace != slot.trace:
            log.warning("%s %s\n%s", slot.target.name, reason, trace)
        else:
            log.warning("%s %s%s", slot.target.name, reason, " (as before)" if trace else "")
        slot.trace = trace

    def _serving(self, slot: Slot, child: Incarnation, node: Address) -> None:
        if not child.stopping:
            self._announce(Up(slot.target.uid, child.generation, node, child.context.capacity))
        self._family.ready(slot.kid.name, child.generation, trio.current_time())
        self._obey()
