"""How fast is mq on this machine? The command bench measures messages and round trips between two processes."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from ..patterns.pipeline import Pull
from ..patterns.reqrep import Req
from . import arguments
from .errors import Trouble
from .opening import opened_at
from .standard import write


def add_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=("throughput", "latency", "both"), default="both",
                        help="default: %(default)s")  # fmt: skip
    parser.add_argument("-n", "--count", type=arguments.whole(1), metavar="N",
                        help="messages (default 200000) or round trips (default 5000)")  # fmt: skip
    parser.add_argument("--size", type=arguments.whole(1), default=16, metavar="BYTES", help="default: %(default)s")
    parser.add_argument("--transport", choices=("tcp", "ipc"), default="tcp", help="default: %(default)s")
    arguments.socket(parser)


async def bench(chosen: argparse.Namespace) -> None:
    """Measure, and write the results."""
    with tempfile.TemporaryDirectory() as directory:
        endpoint = "tcp://127.0.0.1:*" if chosen.transport == "tcp" else f"ipc://{Path(directory) / 'bench'}"
        if chosen.what != "latency":
            await _throughput(chosen, endpoint)
        if chosen.what != "throughput":
            await _latency(chosen, endpoint)


@asynccontextmanager
async def _pair(kind: Any, chosen: argparse.Namespace, endpoint: str, *other: str) -> AsyncIterator[Any]:
    """Open a socket in this process, and run a command that connects to it in another process."""
    async with opened_at(kind, arguments.options(chosen), [], verbose=chosen.verbose) as socket:
        bound = socket.bind(endpoint)
        command = [sys.executable, "-m", "mq", *other, "--connect", bound]
        process = await trio.lowlevel.open_process(command, stdin=subprocess.DEVNULL)
        try:
            yield socket
        finally:
            process.terminate()
            with trio.CancelScope(shield=True):
                await process.wait()


async def _throughput(chosen: argparse.Namespace, endpoint: str) -> None:
    count, size = chosen.count or 200_000, chosen.size
    body = "x" * size
    async with _pair(Pull, chosen, endpoint, "push", "--message", body, "--count", str(count + 1)) as pull:
        await pull.receive()
        started = time.perf_counter()
        for _ in range(count):
            await pull.receive()
        took = time.perf_counter() - started
    rate = count / took
    await write(
        f"throughput: {count} messages of {size} bytes over {chosen.transport} in {took:.3f} s: "
        f"{rate:.0f} messages/s, {rate * size * 8 / 1e6:.1f} Mbit/s\n".encode()
    )


async def _latency(chosen: argparse.Namespace, endpoint: str) -> None:
    count, size = chosen.count or 5_000, chosen.size
    body = b"x" * size
    times: list[float] = []
    async with _pair(Req, chosen, endpoint, "rep", "--echo") as req:
        await req.request(body)
        for _ in range(count):
            started = time.perf_counter()
            if len(await req.request(body)) != size:
                raise Trouble("the echo has another size than the request")
            times.append((time.perf_counter() - started) * 1e6)
    times.sort()
    await write(
        f"latency: {count} round trips of {size} bytes over {chosen.transport}: "
        f"median {statistics.median(times):.0f} µs, mean {statistics.fmean(times):.0f} µs, "
        f"99 % under {times[int(len(times) * 0.99)]:.0f} µs\n".encode()
    )
