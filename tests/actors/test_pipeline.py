"""A pipeline takes every item from its source through its stages to its sink, wherever its workers live."""

import functools
import itertools
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

import actors
from actors import Pipeline, PipelineError, Stage
from actors.protocols.ledger import Ledger

PLACES = ["task", "thread", "process"]


# Functions of stages, importable by worker processes


def square(number: int) -> int:
    return number * number


def negate(number: int) -> int:
    return -number


async def square_async(number: int) -> int:
    await trio.lowlevel.checkpoint()
    return number * number


def picky(number: int) -> int:
    if number % 5 == 3:
        raise KeyError(number)
    return number


def whereabouts(_item: object) -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def die_once(marker: str, number: int) -> int:
    """Kill this process at number 5, unless somebody did already."""
    if number == 5 and not os.path.exists(marker):
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_of_five(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


class DiesOnArrival:
    """Kills the process that it comes to, the first `times`."""

    def __init__(self, directory: str, times: int) -> None:
        self.directory = directory
        self.times = times

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        deaths = len(os.listdir(self.directory))
        if deaths < self.times:
            Path(self.directory, str(deaths)).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, number: int) -> int:
        return number


def give_lambda(_number: int) -> object:
    return lambda: None


def tell_pid(fifo: str) -> None:
    """Wait for a reader of the FIFO, and let it know this process."""
    with open(fifo, "w") as told:
        told.write(str(os.getpid()))


def stay(fifo: str) -> None:
    tell_pid(fifo)
    threading.Event().wait()


async def stay_async(fifo: str) -> None:
    tell_pid(fifo)
    await trio.sleep_forever()


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


async def collect(pipeline: Pipeline) -> list[Any]:
    async with pipeline.open() as results:
        return [result async for result in results]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# The way through


async def test_every_item_reaches_the_sink_once(place: str) -> None:
    results: list[int] = []
    report = await Pipeline(range(100), [Stage(square, workers=2, place=place)], results.append).run()
    assert sorted(results) == [n * n for n in range(100)]
    assert report == actors.Report(
        read=100, delivered=100, failed=0, in_flight=0, redelivered=0, duplicates=0, restarts=0
    )


async def test_stages_follow_each_other_across_places() -> None:
    stages = [Stage(square, workers=2, place="process"), Stage(negate, place="thread"), Stage(str)]
    results: list[str] = []
    await Pipeline(range(20), stages, results.append, ordered=True).run()
    assert results == [str(-n * n) for n in range(20)]


async def test_async_functions_are_stages_too(place: str) -> None:
    results: list[int] = []
    await Pipeline(range(10), [Stage(square_async, place=place)], results.append, ordered=True).run()
    assert results == [n * n for n in range(10)]


@pytest.mark.parametrize("batch", [1, 7])
async def test_batches_change_nothing_in_the_result(place: str, batch: int) -> None:
    results: list[int] = []
    stage = Stage(square, workers=2, place=place, batch=batch)
    await Pipeline(range(50), [stage], results.append, ordered=True).run()
    assert results == [n * n for n in range(50)]


async def test_ordered_results_wait_for_an_earlier_item_that_takes_longer() -> None:
    last_has_run = trio.Event()

    async def first_finishes_last(number: int) -> int:
        if number == 0:
            await last_has_run.wait()
        if number == 3:
            last_has_run.set()
        return number

    for ordered, first_two in ((True, [0, 1]), (False, [1, 2])):
        last_has_run = trio.Event()
        results: list[int] = []
        stage = Stage(first_finishes_last, workers=2, credit=1)
        await Pipeline(range(4), [stage], results.append, ordered=ordered).run()
        assert results[:2] == first_two
        assert sorted(results) == [0, 1, 2, 3]


async def test_a_sync_function_runs_off_the_event_loop_and_a_process_is_another_process() -> None:
    for place in PLACES:
        seen: list[tuple[int, int]] = []
        await Pipeline(range(4), [Stage(whereabouts, place=place)], seen.append).run()
        assert all((pid == os.getpid()) == (place != "process") for pid, _ in seen)
        assert all(thread != threading.get_ident() for pid, thread in seen if pid == os.getpid())


async def test_several_workers_are_several_processes() -> None:
    seen: list[tuple[int, int]] = []

    def items_until_all_have_worked() -> Iterator[int]:
        number = 0
        while len({pid for pid, _ in seen}) < 3:
            yield number
            number += 1

    stage = Stage(whereabouts, workers=3, place="process", credit=1)
    with trio.fail_after(30):
        await Pipeline(items_until_all_have_worked(), [stage], seen.append).run()
    assert len({pid for pid, _ in seen}) == 3


async def test_local_workers_run_lambdas() -> None:
    offset = 1
    results: list[int] = []
    stages = [Stage(lambda n: n + offset), Stage(lambda n: n + offset, place="thread")]
    await Pipeline([1, 2], stages, results.append, ordered=True).run()
    assert results == [3, 4]


async def test_the_sink_may_be_async_and_gets_one_result_at_a_time() -> None:
    busy = trio.Lock()
    results: list[int] = []

    async def sink(result: int) -> None:
        busy.acquire_nowait()
        await trio.lowlevel.checkpoint()
        results.append(result)
        busy.release()

    await Pipeline(range(30), [Stage(square, workers=3)], sink).run()
    assert sorted(results) == [n * n for n in range(30)]


async def test_a_source_may_be_a_channel_or_an_async_generator() -> None:
    send, receive = trio.open_memory_channel[int](10)
    for number in range(10):
        send.send_nowait(number)
    send.close()
    report = await Pipeline(receive, [Stage(square)]).run()
    assert report.delivered == 10

    closed = trio.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                yield number
        finally:
            closed.set()

    pipeline = Pipeline(numbers(), [Stage(square)], lambda _: pipeline.stop())
    await pipeline.run()
    assert closed.is_set()


async def test_an_empty_source_ends_at_once() -> None:
    assert (await Pipeline([], [Stage(square)]).run()).read == 0


# Iterating over results


async def test_results_can_be_iterated_over(place: str) -> None:
    pipeline = Pipeline(range(10), [Stage(square, place=place)], ordered=True)
    assert await collect(pipeline) == [n * n for n in range(10)]
    assert pipeline.statistics().delivered == 10


async def test_leaving_the_iteration_early_ends_the_workers() -> None:
    async with Pipeline(itertools.count(), [Stage(whereabouts, place="process")]).open() as results:
        pid, _ = await results.receive()
    assert not is_alive(pid)


async def test_an_error_in_the_block_comes_out_as_itself() -> None:
    async def fail() -> None:
        async with Pipeline(range(9), [Stage(square)]).open():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


async def test_an_error_of_a_stage_ends_the_iteration() -> None:
    with pytest.raises(PipelineError, match="picky failed on item 3"):
        await collect(Pipeline(range(9), [Stage(picky)]))


# Demand


@pytest.mark.parametrize("ordered", [False, True])
async def test_an_endless_source_is_read_no_further_than_the_window(place: str, ordered: bool) -> None:
    read = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    stage = Stage(negate, workers=2, place=place)
    async with Pipeline(numbers(), [stage], window=6, ordered=ordered).open() as results:
        for taken in range(1, 51):
            await results.receive()
            assert read <= taken + 6


async def test_progress_adds_up_and_stays_within_the_window() -> None:
    seen: list[actors.Progress] = []
    stages = [Stage(picky, workers=2, batch=2), Stage(negate)]
    await Pipeline(range(40), stages, window=5, on_error="skip", progress=seen.append).run()
    assert all(now.read == now.delivered + now.failed + now.in_flight for now in seen)
    assert max(now.in_flight for now in seen) <= 5
    assert (seen[-1].delivered, seen[-1].failed, seen[-1].in_flight) == (32, 8, 0)


# Errors


async def test_an_error_names_the_stage_and_the_item_and_keeps_its_cause(place: str) -> None:
    with pytest.raises(PipelineError) as caught:
        await Pipeline(range(10), [Stage(picky, place=place, name="choice")]).run()
    error = caught.value
    assert (error.stage, error.item, error.index) == ("choice", 3, 3)
    assert isinstance(error.__cause__, KeyError)
    assert str(error) == "choice failed on item 3 (3): KeyError: 3"
    assert "in picky" in str(error.__cause__.__cause__)


async def test_skipped_errors_are_collected_and_stop_nothing(place: str) -> None:
    results: list[int] = []
    stage = Stage(picky, workers=2, place=place, batch=3)
    report = await Pipeline(range(10), [stage], results.append, on_error="skip", ordered=True).run()
    assert results == [0, 1, 2, 4, 5, 6, 7, 9]
    assert [error.item for error in report.errors] == [3, 8]
    assert (report.delivered, report.failed) == (8, 2)


async def test_a_function_is_told_of_errors_at_their_place_and_may_end_the_run() -> None:
    events: list[object] = []

    async def on_error(error: PipelineError) -> None:
        await trio.lowlevel.checkpoint()
        events.append(error.index)
        if error.index == 8:
            raise error

    with pytest.raises(PipelineError, match="picky failed on item 8"):
        await Pipeline(range(20), [Stage(picky)], events.append, on_error=on_error, ordered=True).run()
    assert events == list(range(9))


async def test_an_error_of_the_sink_names_the_item() -> None:
    def sink(result: int) -> None:
        raise OSError("disk full")

    with pytest.raises(PipelineError, match=r"sink failed on item 0 \('a'\): OSError: disk full"):
        await Pipeline("abc", [Stage(str.upper)], sink, ordered=True).run()


async def test_an_error_of_the_source_says_how_far_it_came() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise OSError("connection reset")

    with pytest.raises(PipelineError, match="the source failed after 1 items: OSError") as caught:
        await Pipeline(numbers(), [Stage(square)], on_error="skip").run()
    assert isinstance(caught.value.__cause__, OSError)


async def test_what_cannot_travel_fails_alone(place: str) -> None:
    lock = threading.Lock()
    stage = Stage(give_lambda, place=place)
    report = await Pipeline([1, lock, 2], [stage], on_error="skip", ordered=True).run()
    assert [error.item for error in report.errors] == [1, lock, 2]
    results: list[str] = []
    stage = Stage(str, place=place, batch=3)
    report = await Pipeline(["a", lock, "b"], [stage], results.append, on_error="skip", ordered=True).run()
    assert results == ["a", "b"]
    assert [error.item for error in report.errors] == [lock]


async def test_long_items_are_shortened_in_errors() -> None:
    with pytest.raises(PipelineError) as caught:
        await Pipeline(["x" * 10_000], [Stage(int)]).run()
    assert len(str(caught.value)) < 500


# Death


@pytest.mark.parametrize("batch", [1, 4])
async def test_a_killed_worker_changes_nothing_in_the_result(tmp_path: Path, batch: int) -> None:
    function = functools.partial(die_once, str(tmp_path / "died"))
    results: list[int] = []
    stage = Stage(function, workers=2, place="process", batch=batch, name="die_once")
    report = await Pipeline(range(60), [stage], results.append, ordered=True).run()
    assert results == list(range(60))
    assert report.redelivered >= 1
    assert report.restarts == 1


async def test_a_worker_killed_from_outside_is_restarted() -> None:
    restarted = trio.Event()
    killed = []

    def progress(now: actors.Progress) -> None:
        if now.restarts:
            restarted.set()

    async def sink(result: tuple[int, int]) -> None:
        if not killed:
            killed.append(result[0])
            os.kill(result[0], signal.SIGKILL)
            await restarted.wait()

    report = await Pipeline(
        range(40), [Stage(whereabouts, place="process")], sink, progress=progress
    ).run()
    assert (report.delivered, report.restarts) == (40, 1)


async def test_an_item_that_kills_its_workers_is_named_and_its_neighbours_live() -> None:
    results: list[int] = []
    stage = Stage(die_of_five, workers=2, place="process", batch=3)
    report = await Pipeline(
        range(20), [stage], results.append, on_error="skip", redeliveries=2, ordered=True
    ).run()
    assert results == [n for n in range(20) if n != 5]
    (error,) = report.errors
    assert (error.item, error.stage) == (5, "die_of_five")
    assert isinstance(error.__cause__, actors.ActorDied)
    assert "its worker died 3 times" in str(error)
    assert "SIGKILL" in str(error)


async def test_workers_that_die_too_often_end_the_run() -> None:
    stage = Stage(die_of_five, place="process")
    with pytest.raises(actors.RestartsExhausted):
        await Pipeline(itertools.repeat(5), [stage], on_error="skip", intensity=2, period=60).run()


async def test_a_worker_killed_before_it_serves_is_started_again(tmp_path: Path) -> None:
    stage = Stage(DiesOnArrival(str(tmp_path), 2), place="process")
    results: list[int] = []
    report = await Pipeline(range(10), [stage], results.append, ordered=True).run()
    assert results == list(range(10))
    assert report.restarts == 2


async def test_a_worker_that_never_comes_to_serve_ends_the_run(tmp_path: Path) -> None:
    stage = Stage(DiesOnArrival(str(tmp_path), 100), place="process")
    with pytest.raises(actors.StartFailed, match="SIGKILL"):
        await Pipeline(range(10), [stage], intensity=2, period=60).run()
    assert len(os.listdir(tmp_path)) == 3


# Stopping


async def test_stop_delivers_what_was_read(place: str) -> None:
    results: list[int] = []

    def sink(result: int) -> None:
        results.append(result)
        if len(results) == 10:
            pipeline.stop()

    pipeline = Pipeline(itertools.count(), [Stage(negate, workers=2, place=place)], sink, ordered=True)
    report = await pipeline.run()
    assert report.read == report.delivered == len(results) >= 10
    assert results == [-n for n in range(len(results))]


async def test_stop_ends_a_source_that_waits() -> None:
    send, receive = trio.open_memory_channel[int](1)
    send.send_nowait(1)
    pipeline = Pipeline(receive, [Stage(square)], lambda _: pipeline.stop())
    assert (await pipeline.run()).delivered == 1
    send.send_nowait(2)
    assert receive.receive_nowait() == 2


async def test_a_pipeline_stopped_before_it_runs_reads_nothing() -> None:
    pipeline = Pipeline(range(9), [Stage(square)])
    pipeline.stop()
    assert (await pipeline.run()).read == 0


async def test_cancelling_ends_a_worker_process_in_the_middle_of_its_work(fifo: str) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Pipeline([fifo], [Stage(stay, place="process")]).run)
        pid = await trio.Path(fifo).read_text()
        nursery.cancel_scope.cancel()
    assert not is_alive(int(pid))


async def test_cancelling_cancels_async_functions(place: str, fifo: str) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Pipeline([fifo], [Stage(stay_async, place=place)]).run)
        await trio.Path(fifo).read_text()
        nursery.cancel_scope.cancel()


async def test_a_pipeline_runs_again_but_not_twice_at_once() -> None:
    async def run_again(_result: int) -> None:
        with pytest.raises(trio.BusyResourceError):
            await pipeline.run()

    pipeline = Pipeline(range(3), [Stage(square)], run_again)
    assert (await pipeline.run()).delivered == 3
    assert (await pipeline.run()).delivered == 3


# What is refused


@pytest.mark.parametrize("function", [lambda n: n, functools.partial(lambda n: n)])
def test_a_process_refuses_functions_that_it_could_not_import(function: Any) -> None:
    with pytest.raises(actors.SpecError, match="define it at the top level of a module"):
        Stage(function, place="process")


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"workers": True},
        {"batch": 0},
        {"credit": -1},
        {"place": "moon"},
        {"function": "square"},
    ],
)
def test_a_stage_refuses_what_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(actors.SpecError):
        Stage(**{"function": square, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": 5},
        {"stages": []},
        {"stages": [square]},
        {"sink": "list"},
        {"window": 0},
        {"on_error": "ignore"},
        {"redeliveries": -1},
    ],
)
def test_a_pipeline_refuses_what_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(actors.SpecError):
        Pipeline(**{"source": [1], "stages": [Stage(square)], **wrong})


async def test_open_refuses_a_sink() -> None:
    with pytest.raises(actors.SpecError):
        async with Pipeline([1], [Stage(square)], print).open():
            pass


async def test_a_busy_worker_is_given_full_batches():
    sizes = []

    class Noting(Ledger):
        def take(self, stage, worker, limit=1):
            entries = super().take(stage, worker, limit)
            sizes.append(len(entries))
            return entries

    pipeline = Pipeline(range(1000), [Stage(abs, place="task", batch=100)])
    pipeline._run.ledger = Noting(1, pipeline._plan.room)
    await pipeline.run()
    assert sum(sizes) == 1000
    assert len([size for size in sizes if size]) <= 15
