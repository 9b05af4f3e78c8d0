"""How does one library take one turn? A fresh process for each role; their words pass through here."""

import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import trio

from bench.peer import RESULT
from bench.scenario import FEWER, OURS_WITH_FEWER, Scenario
from bench.task import Task

ROOT = Path(__file__).parent.parent
"""Where `python -m bench.peer` is found."""

DEADLINE = 60.0
"""Seconds until a turn counts as hung; a turn takes about one."""


class BrokenRun(Exception):
    """A peer failed, hung, or did not report: there is nothing to compare."""


@attrs.define
class Peer:
    """One running process and what it said for the bench."""

    name: str
    process: trio.Process
    errors: Path
    result: dict[str, float] | None = None

    async def hear(self, line: bytes) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(trio.BrokenResourceError):  # it has gone: its own exit code says why
            await self.process.stdin.send_all(line + b"\n")

    async def attend(self, fellows: Sequence["Peer"]) -> None:
        """Pass on what it says, until it ends well; raises BrokenRun when it does not."""
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
async def started(name: str, command: Sequence[str], errors: Path) -> AsyncIterator[Peer]:
    """Run a peer; it is dead when the block is left, whatever the reason.

    Its own session keeps a Ctrl-C at the terminal away from it: the bench gets that, and kills it.
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
        yield Peer(name, process, errors)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                await pipe.aclose()


async def take_turn(scenario: Scenario, library: str, *, quick: bool) -> dict[str, float]:
    """Let one library play the scenario once, and return its metrics. Raises BrokenRun."""
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
        async with contextlib.AsyncExitStack() as stack:
            for role in scenario.roles:
                command = [sys.executable, "-m", "bench.peer", library, role, json.dumps(attrs.asdict(task))]
                errors = Path(directory, f"{role}.errors")
                peers.append(await stack.enter_async_context(started(f"{library}'s {role}", command, errors)))
            await attend_all(peers)
    results = [peer.result for peer in peers if peer.result is not None]
    if len(results) != 1:
        raise BrokenRun(f"{library} reported {len(results)} results in {scenario.name}, not one")
    return results[0]


async def attend_all(peers: Sequence[Peer]) -> None:
    """Wait until every peer has ended well. Raises the first BrokenRun, without a group around it."""
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
