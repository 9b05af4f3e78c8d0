"""How is one run of a pipeline driven? One task reads, a few per worker feed it, one delivers."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from contextlib import ExitStack, aclosing
from typing import Any

import trio

from actors.errors import ActorDied, PipelineError, StartFailed
from actors.nodes.references import Ref
from actors.pipelines.stage import Plan, Progress, Report, describe
from actors.pipelines.worker import Function, Shelved, Worker, shelved
from actors.protocols.ledger import Entry, Ledger
from actors.protocols.policy import Budget
from actors.scopes import open_nursery
from actors.supervision.root import Root, open_supervisor
from actors.values.failure import Failure
from actors.values.reasons import Exited, Lost, Signal
from actors.values.spec import Child

KEPT_ERRORS = 100
AT_ONCE = 0.001  # seconds; how long a plain iterable is read before other tasks run


class Run:
    """One run of a pipeline: a task that reads, a few per worker that feed it, and one that delivers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.begun = self.ended = False
        self.ledger = Ledger(len(plan.stages), plan.room, plan.redeliveries, plan.ordered)
        self.delivered = self.failed = self.restarts = 0
        self.errors: list[PipelineError] = []
        self.early_deaths = Budget(plan.intensity, plan.period)
        self.reading = trio.CancelScope()
        # Who waits for what: the reader for room, the feeders of each stage for items, delivery for results.
        self.room = trio.lowlevel.ParkingLot()
        self.items = [trio.lowlevel.ParkingLot() for _ in plan.stages]
        self.results = trio.lowlevel.ParkingLot()

    def stop(self) -> None:
        self.reading.cancel()

    def statistics(self) -> Progress:
        return Progress(**self._numbers())

    async def go(self, sink: Callable[[Any], Any]) -> Report:
        plan = self.plan
        try:
            with ExitStack() as shelf:
                # A lambda cannot travel, and to a worker of this process it need not.
                functions: list[Function | Shelved] = [
                    stage.function if stage.place == "process" else shelf.enter_context(shelved(stage.function))
                    for stage in plan.stages
                ]
                async with (
                    open_supervisor(intensity=plan.intensity, period=plan.period) as supervisor,
                    open_nursery() as nursery,
                ):
                    for number, stage in enumerate(plan.stages):
                        for worker in range(stage.workers):
                            nursery.start_soon(self._employ, supervisor, functions[number], number, worker)
                    nursery.start_soon(self._read)
                    await self._deliver(sink)
                    nursery.cancel_scope.cancel()
        finally:
            self.ended = True
        return Report(**self._numbers(), errors=tuple(self.errors))

    async def _read(self) -> None:
        """Admit one item after another, each asked for only when there is room for it."""
        source = self.plan.source
        with self.reading:
            if isinstance(source, AsyncIterable):
                await self._read_async(source)
            else:
                await self._read_plain(source)
        self.ledger.close()
        for feeders in self.items:  # what waits for a batch to become full need not wait any more
            feeders.unpark_all()
        self.results.unpark()

    async def _read_async(self, source: AsyncIterable[Any]) -> None:
        async with aclosing(_each(source)) as items:
            while not self.reading.cancel_called:
                while not self.ledger.has_room:
                    await self.room.park()
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
                except Exception as error:
                    raise self._source_failed(error) from error
                self.ledger.admit(item)
                self._wake(0)

    async def _read_plain(self, source: Iterable[Any]) -> None:
        """Nothing else runs until this gives way, so feeders are woken only then."""
        items: Iterator[Any] | None = None
        since = trio.current_time()
        while not self.reading.cancel_called:
            if not self.ledger.has_room:
                self._wake(0)
                await self.room.park()
                since = trio.current_time()
                continue
            try:
                items = items or iter(source)
                item = next(items)
            except StopIteration:
                break
            except Exception as error:
                raise self._source_failed(error) from error
            self.ledger.admit(item)
            if trio.current_time() - since > AT_ONCE:
                self._wake(0)
                await trio.lowlevel.checkpoint()
                since = trio.current_time()
        self._wake(0)

    def _source_failed(self, error: Exception) -> PipelineError:
        return PipelineError("source", None, self.ledger.admitted, describe(error))

    async def _employ(
        self, supervisor: Root, function: Function | Shelved, number: int, worker: int
    ) -> None:
        """Start one worker, and keep as many batches on their way to it as its stage gives credit."""
        stage = self.plan.stages[number]
        name = f"{number}.{stage.name}.{worker}".replace("/", "_")
        ref = await self._start(supervisor, Child(Worker, function, place=stage.place, name=name))
        async with ref.monitor() as deaths, open_nursery() as nursery:
            for _ in range(stage.credit):
                nursery.start_soon(self._feed, ref, number, worker)
            async for death in deaths:
                self.restarts += not death.final
                self._tell()

    async def _start(self, supervisor: Root, worker: Child) -> Ref[Worker]:
        """Start one worker, and again when it is killed before it serves: that says nothing of its function."""
        while True:
            try:
                return await supervisor.start(worker)
            except StartFailed as failed:
                allowed, self.early_deaths = self.early_deaths.spend(trio.current_time())
                if not (allowed and isinstance(failed.reason, Signal | Exited | Lost)):
                    raise
            self.restarts += 1
            self._tell()

    async def _feed(self, ref: Ref[Worker], number: int, worker: int) -> None:
        """One batch after another: take it, let the worker run it, enter what came of it."""
        while True:
            entries = self._take(number, worker)
            if not entries:
                await self.items[number].park()
                continue
            suspect = entries[0].suspect
            try:
                outcomes = await ref.run([entry.value for entry in entries])
            except Exception as error:
                self._lost(number, worker, entries, error)
            else:
                self._answered(number, worker, entries, outcomes)
            if suspect:
                self.items[number].unpark_all()

    def _take(self, number: int, worker: int) -> list[Entry]:
        """A batch for this worker; while it is busy with another one, only a full one if it can become full."""
        batch = self.plan.stages[number].batch
        full = self.ledger.waiting(number) >= batch or self.ledger.suspects
        if full or self.ledger.idle(number, worker) or not self.ledger.more_may_come(number):
            return self.ledger.take(number, worker, batch)
        return []

    def _answered(
        self, number: int, worker: int, entries: list[Entry], outcomes: list[tuple[Any, Failure | None]]
    ) -> None:
        """Enter what came of a batch, and wake whoever waits for it, once."""
        finish = self.ledger.finish
        for entry, (value, failure) in zip(entries, outcomes, strict=True):
            if failure is None:
                finish(number, worker, entry.index, value)
            else:
                self._failed(number, worker, entry, failure.exception())
        if number + 1 < len(self.items):
            self._wake(number + 1)
        else:
            self.results.unpark()

    def _failed(self, number: int, worker: int, entry: Entry, cause: BaseException, why: str = "") -> None:
        stage = self.plan.stages[number].name
        error = PipelineError(stage, entry.item, entry.index, why or describe(cause))
        error.__cause__ = cause
        if self.plan.on_error == "raise":
            raise error
        self.ledger.fail(number, worker, entry.index, error)
        self.results.unpark()

    def _lost(self, number: int, worker: int, entries: list[Entry], error: Exception) -> None:
        """The worker died, or the call could not travel; in a batch nobody knows because of which item."""
        if not isinstance(error, ActorDied) and len(entries) == 1:
            self._failed(number, worker, entries[0], error)
            return
        for entry in self.ledger.lose(number, worker, [entry.index for entry in entries]):
            self._failed(number, worker, entry, error, f"its worker died {entry.deaths} times: {error}")
        self._tell()
        self._wake(number)

    async def _deliver(self, sink: Callable[[Any], Any]) -> None:
        """Give the sink one result after another, and on_error the failures at their place."""
        while not self.ledger.done:
            entry = self.ledger.next_ready()
            if entry is None:
                self.room.unpark()
                await self.results.park()
                continue
            if entry.error is None:
                try:
                    result = sink(entry.value)
                    if inspect.isawaitable(result):
                        self.room.unpark()
                        await result
                except Exception as error:
                    entry.error = PipelineError("sink", entry.item, entry.index, describe(error))
                    entry.error.__cause__ = error
            if entry.error is None:
                self.delivered += 1
            else:
                await self._report(entry.error)
            self.ledger.settle()
            self._tell()

    async def _report(self, error: PipelineError) -> None:
        on_error = self.plan.on_error
        if on_error == "raise":
            raise error
        self.failed += 1
        if len(self.errors) < KEPT_ERRORS:
            self.errors.append(error)
        if callable(on_error):
            await _call(on_error, error)

    def _wake(self, number: int) -> None:
        """There may be something to take. A suspect or a part of a batch is not for everyone: all must look."""
        full, rest = divmod(self.ledger.waiting(number), self.plan.stages[number].batch)
        if self.ledger.suspects or (rest and self._hungry(number)):
            self.items[number].unpark_all()
        elif full:
            self.items[number].unpark(count=full)

    def _hungry(self, number: int) -> bool:
        """Whether some worker of this stage would take a batch that is not full."""
        workers = range(self.plan.stages[number].workers)
        return any(self.ledger.idle(number, worker) for worker in workers) or not self.ledger.more_may_come(number)

    def _tell(self) -> None:
        if self.plan.progress is not None:
            self.plan.progress(self.statistics())

    def _numbers(self) -> dict[str, int]:
        ledger = self.ledger
        return {
            "read": ledger.admitted,
            "delivered": self.delivered,
            "failed": self.failed,
            "in_flight": ledger.live,
            "redelivered": ledger.redelivered,
            "duplicates": ledger.duplicates,
            "restarts": self.restarts,
        }


async def _each(source: AsyncIterable[Any]) -> AsyncGenerator[Any]:
    if inspect.isasyncgen(source):
        async with aclosing(source):
            async for item in source:
                yield item
    else:
        async for item in source:
            yield item


async def _call(function: Callable[[Any], Any], value: Any) -> None:
    result = function(value)
    if inspect.isawaitable(result):
        await result
