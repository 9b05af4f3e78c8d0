"""A queue that notices a dead or hanging worker and gives its job to another worker. ROUTER - DEALER, with heartbeats.

    python examples/worker_heartbeats.py

A worker sends READY to the queue, and then an ALIVE message every 0.1 seconds. The queue gives each worker one job at a
time. ZeroMQ's guide calls this pattern the paranoid pirate. One worker is killed in the middle of a job: the queue
notices the end of its connection. Another worker is frozen: its connection stays open, so the queue notices the missing
heartbeats. Every job is done, and some jobs are done twice. A worker may wake up again, and the queue then ignores the
result of its old job.

Each worker is a process. To run a worker by hand: --work NAME ENDPOINT.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from functools import partial

import trio
from attrs import define, field

import mq

JOBS, JOB_SECONDS = 12, 0.1
BEAT, PATIENCE = 0.1, 1.0
"""The seconds between two heartbeats of a worker, and the seconds without a heartbeat after which it is removed."""
READY, ALIVE, DONE = b"READY", b"ALIVE", b"DONE"


def say(text: str) -> None:
    print(text + "\n", end="", flush=True)  # one write, because other processes print too


# The queue --------------------------------------------------------------------------------------------------


@define(eq=False)
class Job:
    number: int
    request: bytes
    result: bytes = b""
    done: trio.Event = field(factory=trio.Event)


class Queue:
    """Runs one task per worker, which passes jobs to the worker. Missing heartbeats cancel the task."""

    def __init__(self, router: mq.Router, nursery: trio.Nursery) -> None:
        self.router = router
        self.nursery = nursery
        self.give, self.jobs = trio.open_memory_channel[Job](1000)
        self.count = 0
        self.trust: dict[bytes, trio.CancelScope] = {}
        self.doing: dict[bytes, Job] = {}

    async def do(self, request: bytes) -> bytes:
        """Return the result of a worker for ``request``. This is the handler for `Router.serve`."""
        self.count += 1
        job = Job(self.count, request)
        await self.give.send(job)
        await job.done.wait()
        return job.result

    async def employ(self, name: bytes) -> None:
        """Give jobs to one worker, until its heartbeats are missing or its connection ends."""
        say(f"queue: {name.decode()} is here")
        with self.trust[name]:
            async for job in self.jobs:
                self.doing[name] = job
                await self.router.send_multipart([name, b"%d" % job.number, job.request])
                await job.done.wait()
        lost = self.doing.pop(name, None)
        del self.trust[name]
        if lost is None or lost.done.is_set():
            say(f"queue: {name.decode()} is gone")
        else:
            say(f"queue: {name.decode()} is gone; job {lost.number} goes to another")
            await self.give.send(lost)

    async def listen(self) -> None:
        """Process the messages of workers. The router itself adds an empty message when a connection has ended."""
        while True:
            name, kind, *rest = await self.router.receive_multipart()
            if not kind:
                if name in self.trust:
                    self.trust[name].cancel()
            elif name not in self.trust:
                self.trust[name] = trio.CancelScope(deadline=trio.current_time() + PATIENCE)
                self.nursery.start_soon(self.employ, name)
            else:
                self.trust[name].deadline = trio.current_time() + PATIENCE
                job = self.doing.get(name)
                if kind == DONE and job is not None and int(rest[0]) == job.number:  # no result of an old job
                    job.result = rest[1]
                    job.done.set()


# The workers ------------------------------------------------------------------------------------------------


async def work(accident: str, name: str, endpoint: str) -> None:
    """Square numbers and send heartbeats. In the first job, send this process the signal ``accident``, if any."""

    async def beat() -> None:
        while True:
            await trio.sleep(BEAT)
            await dealer.send(ALIVE)

    async with mq.Dealer(routing_id=name.encode()) as dealer, trio.open_nursery() as nursery:
        dealer.connect(endpoint)
        await dealer.send(READY)
        nursery.start_soon(beat)
        while True:
            number, request = await dealer.receive_multipart()
            await trio.sleep(JOB_SECONDS)
            if accident:
                say(f"{name} gets {accident} in job {number.decode()}")
                os.kill(os.getpid(), getattr(signal, accident))
            await dealer.send_multipart([DONE, number, b"%d" % (int(request) ** 2)])


# The demonstration ------------------------------------------------------------------------------------------


async def kill(process: trio.Process) -> None:
    process.kill()  # the frozen worker reacts only to SIGKILL


async def main() -> None:
    # With router_notify, the router receives an empty message when a connection ends.
    async with (
        mq.Router() as front,
        mq.Router(router_notify={"disconnect"}) as back,
        mq.Req() as req,
        trio.open_nursery() as nursery,
    ):
        queue = Queue(back, nursery)
        requests, endpoint = front.bind("ipc://*"), back.bind("ipc://*")
        nursery.start_soon(queue.listen)
        nursery.start_soon(front.serve, queue.do)
        for name, accident in (("ann", ""), ("bob", "SIGKILL"), ("eve", "SIGSTOP")):
            command = [sys.executable, __file__, "--work", name, endpoint, "--accident", accident]
            # In its own process group, the worker gets no Ctrl-C. Cancelling this task ends the worker.
            run = partial(trio.run_process, command, check=False, process_group=0, deliver_cancel=kill)
            nursery.start_soon(run)
        await back.wait_connected(3)

        req.connect(requests)
        results: list[int] = []

        async def ask(number: int) -> None:
            results.append(int(await req.request(b"%d" % number)))

        async with trio.open_nursery() as asking:
            for number in range(JOBS):
                asking.start_soon(ask, number)
        say(f"{JOBS} requests, {len(results)} answers, their sum is {sum(results)}")
        nursery.cancel_scope.cancel()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs=2, metavar=("NAME", "ENDPOINT"), help="run one worker")
    parser.add_argument("--accident", default="", metavar="SIGNAL", help="kill the worker with SIGNAL in its first job")
    return parser.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    status = 0
    try:
        trio.run(
            lambda: work(chosen.accident, *chosen.work) if chosen.work else main(),
            restrict_keyboard_interrupt_to_checkpoints=True,
        )
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
