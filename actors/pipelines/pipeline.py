"""How does a stream of items pass through many workers? Source → stages → sink, at least once."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from actors.errors import SpecError
from actors.pipelines.flow import Run
from actors.pipelines.stage import OnError, Plan, Progress, Report, Stage
from actors.scopes import open_nursery


class Pipeline:
    """Items from `source` through `stages` into `sink`.

        async def main():
            pipeline = actors.Pipeline(paths, [actors.Stage(parse, workers=4, place="process")], database.add)
            report = await pipeline.run()

    - `source`: an iterable or async iterable, read only while fewer than `window` items are under way. It
      runs in the event loop: wrap what blocks for long in an async generator.
    - `sink`: a function of one result, sync or async, called for one result at a time; without one, `run`
      drops the results and `open` hands them over.
    - `ordered`: results in the order of the source, instead of as they finish.
    - `window`: items between source and sink, all queues and the reordering together; by default twice
      what the workers hold.
    - `on_error`: "raise" ends the run with the first PipelineError; "skip" goes on; a function, sync or
      async, is given each PipelineError, and the run goes on unless it raises.
    - `progress`: a function of a Progress, called after each item and each restart.
    - `redeliveries`: how often an item whose worker died is given to a worker again, before it counts as
      failed. After the first time it is the only item its worker has.
    - `intensity`, `period`: more than `intensity` deaths of workers within `period` seconds end the run.

    A worker may die at any time: its items run again elsewhere, so a function may see an item twice, but
    the sink gets each result once. Raises SpecError.
    """

    def __init__(
        self,
        source: Iterable[Any] | AsyncIterable[Any],
        stages: Sequence[Stage],
        sink: Callable[[Any], Any] | None = None,
        *,
        ordered: bool = False,
        window: int | None = None,
        on_error: OnError = "raise",
        progress: Callable[[Progress], None] | None = None,
        redeliveries: int = 3,
        intensity: int = 10,
        period: float = 5.0,
    ) -> None:
        stages = tuple(stages)
        self._plan = Plan(
            source=source,
            stages=stages,
            sink=sink,
            ordered=ordered,
            window=window,
            on_error=on_error,
            progress=progress,
            redeliveries=redeliveries,
            intensity=intensity,
            period=period,
        )
        self._run = Run(self._plan)

    async def run(self) -> Report:
        """Wait until every item of the source has reached the sink, and say how it went.

        Raises PipelineError, RestartsExhausted, and what `progress` and `on_error` raise. When cancelled it
        stops at once: what is in flight is dropped. Raises trio.BusyResourceError while it runs.
        """
        return await self._begin().go(self._plan.sink or _drop)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["trio.MemoryReceiveChannel[Any]"]:
        """Run while the block runs, and iterate over the results; leaving the block stops at once.

            async with pipeline.open() as results:
                async for result in results: ...

        An item counts as delivered when the loop takes it. Raises what `run` raises. Both ends of the block
        are checkpoints.
        """
        if self._plan.sink is not None:
            raise SpecError("open() hands over the results itself: leave out the sink, or use run()")
        run = self._begin()
        send, receive = trio.open_memory_channel[Any](0)

        async def flow() -> None:
            with send:
                await run.go(send.send)

        async with open_nursery() as nursery:
            nursery.start_soon(flow)
            try:
                yield receive
            finally:
                nursery.cancel_scope.cancel()
                receive.close()

    def stop(self) -> None:
        """Read no more from the source; `run` returns when the sink has all that was read."""
        self._run.stop()

    def statistics(self) -> Progress:
        """How far the run is; after it, how far it came."""
        return self._run.statistics()

    def _begin(self) -> "Run":
        if self._run.begun and not self._run.ended:
            raise trio.BusyResourceError("this pipeline is already running")
        if self._run.ended:
            self._run = Run(self._plan)
        self._run.begun = True
        return self._run


def _drop(_result: object) -> None:
    pass
