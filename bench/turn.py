"""How does one library take one turn? A new process for each role; this module passes lines between them."""

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import trio

from bench import compiled
from bench.peer import RESULT
from bench.scenario import FEWER, OURS_WITH_FEWER, Scenario
from bench.task import Task

ROOT = Path(__file__).parent.parent
"""The directory in which `python -m bench.peer` works."""

DEADLINE = 60.0
"""The seconds after which a turn counts as hung. A turn takes about one second."""


class BrokenRun(Exception):
    """A peer failed, hung, or did not report, so there is nothing to compare."""


@attrs.define
class Peer:
    """One running process, and its result."""

    name: str
    process: trio.Process
    errors: Path
    result: dict[str, float] | None = None

    async def hear(self, line: bytes) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(trio.BrokenResourceError):  # the process has ended: its exit code says why
            await self.process.stdin.send_all(line + b"\n")

    async def attend(self, fellows: Sequence["Peer"]) -> None:
        """Pass on its lines until it exits. Raises BrokenRun if the exit status is not 0."""
        assert self.process.stdout is not None
        async for line in lines(self.process.stdout):
            if line.startswith(RESULT.encode()):
                self.result = json.loads(line.removeprefix(RESULT.encode()))
            else:
                for fellow in fellows:
                    await fellow.hear(line)
        if status := await self.process.wait():
            raise BrokenRun(f"{self.name} ended with status {status}\n{self.errors.read_text().strip()}")


async def lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    pending = b""
    async for chunk in stream:
        *complete, pending = (pending + chunk).split(b"\n")
        for line in complete:
            yield line


def endpoint(transport: str, directory: str) -> str:
    return {
        "tcp": "tcp://127.0.0.1:*",
        "ipc": f"ipc://{directory}/socket",
        "inproc": "inproc://bench",
    }[transport]


@contextlib.asynccontextmanager
async def started(name: str, command: Sequence[str], errors: Path, cores: int = 0) -> AsyncIterator[Peer]:
    """Run a peer process on the first ``cores`` cores, or on all. Leaving the block kills it, whatever the reason.

    The process has its own session, so a Ctrl-C at the terminal reaches only the bench, which then kills the process.
    """
    with errors.open("wb") as stderr:
        process = await trio.lowlevel.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        if cores:
            os.sched_setaffinity(process.pid, sorted(os.sched_getaffinity(0))[:cores])
        yield Peer(name, process, errors)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                await pipe.aclose()


async def take_turn(scenario: Scenario, library: str, *, quick: bool) -> dict[str, float]:
    """Run the scenario once with one library, and return its metrics. Raises BrokenRun and NotCompiled."""
    count = scenario.quick_count if quick else scenario.count
    peers: list[Peer] = []
    with TemporaryDirectory(prefix="bench-") as directory:
        task = Task(
            endpoint(scenario.transport, directory),
            scenario.size,
            count,
            scenario.warm_up,
            FEWER if library == OURS_WITH_FEWER else scenario.fans,
            scenario.topics,
            scenario.window,
        )
        program = await compiled.program(directory) if library == compiled.IN_C else None
        async with contextlib.AsyncExitStack() as stack:
            for role in scenario.roles:
                if program is None:
                    command = [sys.executable, "-m", "bench.peer", library, role, json.dumps(attrs.asdict(task))]
                else:
                    command = [*compiled.command(program, role, task)]
                errors, name = Path(directory, f"{role}.errors"), f"{library}'s {role}"
                peers.append(await stack.enter_async_context(started(name, command, errors, scenario.cores)))
            await attend_all(peers)
    results: Counter[str] = Counter()
    for peer in peers:
        results.update(peer.result or {})  # each peer reports its share of the processor time
    missing = {comparison.metric for comparison in scenario.comparisons} - results.keys()
    if missing:
        raise BrokenRun(f"{library} did not report {', '.join(sorted(missing))} in {scenario.name}")
    return dict(results)


async def attend_all(peers: Sequence[Peer]) -> None:
    """Wait until every peer has exited with status 0. Raises the first BrokenRun, without an exception group."""
    failures: list[BrokenRun] = []

    async def attend(peer: Peer) -> None:
        try:
            await peer.attend([fellow for fellow in peers if fellow is not peer])
        except BrokenRun as failure:
            failures.append(failure)
            nursery.cancel_scope.cancel()

    with trio.move_on_after(DEADLINE) as deadline:
        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(attend, peer)
    if failures:
        raise failures[0]
    if deadline.cancelled_caught:
        raise BrokenRun(f"{' and '.join(peer.name for peer in peers)} did not finish within {DEADLINE:g} s")
