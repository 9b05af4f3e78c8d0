"""Clients and workers that know only the broker between them. REQ - ROUTER, DEALER - REP.

    python examples/broker.py

The broker is two sockets and one call, ``mq.proxy``. Clients send requests before a worker is connected; the requests
wait. One worker connects, a second worker joins, and the first leaves. The clients notice nothing, because they talk
only to the broker, and the broker sends requests to the connected workers in turn. If a worker dies, its requests are
lost and their clients wait; see reliable_request.py and worker_heartbeats.py.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

import trio

import mq

CLIENTS, REQUESTS = 3, 4
"""The number of clients in each round, and of requests by each client."""


async def worker(name: str, endpoint: str, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    """Serve until the scope that ``started`` passes on is cancelled, and then close in order."""

    async def answer(number: bytes) -> list[bytes]:
        return [name.encode(), b"%d" % (int(number) ** 2)]

    async with mq.Rep() as rep:
        rep.connect(endpoint)
        with trio.CancelScope() as leave:
            task_status.started(leave)
            await rep.serve(answer)


async def client(endpoint: str, answered: Counter[str]) -> None:
    """Send a few requests, and count the replies of each worker."""
    async with mq.Req() as req:
        req.connect(endpoint)
        for number in range(REQUESTS):
            name, square = await req.request_multipart([b"%d" % number])
            assert int(square) == number**2
            answered[name.decode()] += 1


async def ask(endpoint: str) -> None:
    """Run all clients at once, and print the number of replies of each worker."""
    answered: Counter[str] = Counter()
    async with trio.open_nursery() as nursery:
        for _ in range(CLIENTS):
            nursery.start_soon(client, endpoint, answered)
    print("  answered:", ", ".join(f"{name} {count}" for name, count in sorted(answered.items())), flush=True)


async def main() -> None:
    async with mq.Router() as clients, mq.Dealer() as workers, trio.open_nursery() as nursery:
        front, back = clients.bind("ipc://*"), workers.bind("ipc://*")
        nursery.start_soon(mq.proxy, clients, workers)

        print("clients ask, and nobody is there yet; then ann comes", flush=True)
        async with trio.open_nursery() as round_one:
            round_one.start_soon(ask, front)
            await clients.wait_connected(CLIENTS)
            ann = await nursery.start(worker, "ann", back)

        print("bob joins ann", flush=True)
        await nursery.start(worker, "bob", back)
        await workers.wait_connected(2)
        await ask(front)

        print("ann leaves", flush=True)
        async with workers.monitor() as events:
            ann.cancel()
            async for event in events:
                if isinstance(event, mq.Disconnected):
                    break
        await ask(front)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    status = 0
    try:
        trio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
