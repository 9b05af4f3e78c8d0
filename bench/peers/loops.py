"""What is timed? Loops of sends and receives, the same for every asynchronous library.

`pyzmq_blocking` has the same loops without `await`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter, perf_counter_ns, process_time

from bench.task import Task, WrongMessage, expect, percentiles

Send = Callable[[bytes], Awaitable[object]]
Receive = Callable[[], Awaitable[bytes]]

SYNC = b"sync"
"""The message of a publisher to which all peers have subscribed; the last topic of each subscriber."""


async def feed(send: Send, task: Task, wait: Callable[[], Awaitable[object]]) -> None:
    """Send the warm-up messages, await ``wait()``, and send the measured messages."""
    body = task.body
    for _ in range(task.warm_up):
        await send(body)
    await wait()
    for _ in range(task.count - 1):
        await send(body)
    await send(task.last)


async def drain(receive: Receive, task: Task, go: Callable[[], object]) -> dict[str, float]:
    """Receive the warm-up messages, call ``go()``, and time the measured messages from the first to the last."""
    size = task.size
    for _ in range(task.warm_up):
        await receive()
    go()
    first = await receive()
    started = perf_counter()
    for _ in range(task.count - 2):
        if len(await receive()) != size:
            raise WrongMessage
    last = await receive()
    seconds = perf_counter() - started
    expect(first, task.body)
    expect(last, task.last)
    return task.rate(seconds)


async def drain_many(
    batches: AsyncIterator[list[bytes]], task: Task, go: Callable[[], object]
) -> dict[str, float]:
    """As `drain`, with the messages in lists. The warm-up ends with a list of its own: nothing else was sent yet."""
    size, left = task.size, task.warm_up
    while left:
        left -= len(await anext(batches))
    go()
    first, *rest = await anext(batches)
    started = perf_counter()
    last = first
    left = task.count - 1
    while True:
        for last in rest:
            if len(last) != size:
                raise WrongMessage
        left -= len(rest)
        if not left:
            break
        rest = await anext(batches)
    seconds = perf_counter() - started
    expect(first, task.body)
    expect(last, task.last)
    return task.rate(seconds)


async def reflect(send: Send, receive: Receive, task: Task) -> dict[str, float]:
    """Send each message back, and count this side's processor time."""
    for _ in range(task.warm_up):
        await send(await receive())
    started = process_time()
    for _ in range(task.count):
        await send(await receive())
    return {"cpu": (process_time() - started) / task.count}


async def run_ahead(send: Send, receive: Receive, task: Task) -> dict[str, float]:
    """Keep a window of messages in flight, and time the echoes from the first to the last."""
    body = task.body
    for _ in range(task.window):
        await send(body)
    for _ in range(task.warm_up):
        await receive()
        await send(body)
    started = perf_counter()
    for _ in range(task.count - 1):
        expect(await receive(), body)
        await send(body)
    expect(await receive(), body)
    seconds = perf_counter() - started
    for _ in range(task.window - 1):
        await receive()
    return task.rate(seconds)


async def volley(send: Send, receive: Receive, task: Task) -> dict[str, float]:
    """Time each round trip, and count this side's processor time."""
    body, laps = task.body, []
    for _ in range(task.warm_up):
        await send(body)
        await receive()
    busy = process_time()
    for _ in range(task.count):
        started = perf_counter_ns()
        await send(body)
        reply = await receive()
        laps.append(perf_counter_ns() - started)
        expect(reply, body)
    busy = process_time() - busy
    return {**percentiles(laps), "cpu": busy / task.count}
