"""A work queue: a ventilator, workers of different speed, and a sink that counts. PUSH - PULL.

    python examples/work_queue.py

The ventilator pushes the tiles of an imaginary picture to worker processes. The workers push a checksum of each tile to
the sink. PUSH skips a worker whose queue is full until the queue has room again. So slow workers get fewer tiles, if
the queues are short. The sink checks that each tile comes back exactly once.

If a worker dies, the tiles in its queue are lost. If no tile may be lost, use a pipeline of ``actors``, which delivers
lost items again. To run a worker by hand: --work NAME SECONDS-PER-TILE TILES-ENDPOINT RESULTS-ENDPOINT.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections import Counter
from functools import partial

import trio

import mq

TILES, TILE_SIZE = 60, 256 * 1024
WORKERS = {"hare": 0.005, "fox": 0.02, "tortoise": 0.1}
"""The seconds of work per tile, by worker."""


def say(text: str) -> None:
    print(text + "\n", end="", flush=True)  # one write, because other processes print too


def tile(number: int) -> bytes:
    return bytes([number]) * TILE_SIZE


async def ventilate(push: mq.Push) -> None:
    """Send the tiles one after the other; wait while the queues of all workers are full."""
    await push.wait_connected(len(WORKERS))  # otherwise the first worker gets most tiles
    for number in range(TILES):
        await push.send_multipart([b"%d" % number, tile(number)])


async def work(name: str, seconds: str, tiles: str, results: str) -> None:
    """Turn tiles into checksums; never return. Only one tile waits here, so that idle workers get the others."""
    async with mq.Pull(receive_hwm=1) as pull, mq.Push() as push:
        pull.connect(tiles)
        push.connect(results)
        while True:
            number, data = await pull.receive_multipart()
            await trio.sleep(float(seconds))
            await push.send_multipart([name.encode(), number, b"%d" % zlib.crc32(data)])


async def collect(pull: mq.Pull) -> None:
    """Receive and check the result of every tile, and print the number of tiles per worker."""
    done: Counter[str] = Counter()
    seen: Counter[int] = Counter()
    while seen.total() < TILES:
        name, number, checksum = await pull.receive_multipart()
        assert int(checksum) == zlib.crc32(tile(int(number)))
        seen[int(number)] += 1
        done[name.decode()] += 1
    for worker in WORKERS:
        say(f"{worker:8} did {done[worker]:2} tiles")
    once = sum(seen[number] == 1 for number in range(TILES))
    say(f"{once} of {TILES} tiles came back exactly once")


async def main() -> None:
    async with mq.Push(send_hwm=1) as push, mq.Pull() as pull, trio.open_nursery() as nursery:
        tiles, results = push.bind("ipc://*"), pull.bind("ipc://*")
        for name, seconds in WORKERS.items():
            command = [sys.executable, __file__, "--work", name, str(seconds), tiles, results]
            # In its own process group, the worker gets no Ctrl-C. Cancelling this task ends the worker.
            nursery.start_soon(partial(trio.run_process, command, check=False, process_group=0))
        say(f"{TILES} tiles for {', '.join(WORKERS)}")
        nursery.start_soon(ventilate, push)
        await collect(pull)
        nursery.cancel_scope.cancel()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("NAME", "SECONDS", "TILES", "RESULTS")
    parser.add_argument("--work", nargs=4, metavar=names, help="run one worker")
    return parser.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    status = 0
    try:
        trio.run(
            lambda: work(*chosen.work) if chosen.work else main(),
            restrict_keyboard_interrupt_to_checkpoints=True,
        )
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
