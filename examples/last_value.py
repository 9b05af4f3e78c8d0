"""A late subscriber gets the last values at once. PUB - SUB.

    python examples/last_value.py

A weather station publishes readings. A subscriber that is connected from the start gets all readings. A later
subscriber first gets the last reading of each place that it subscribes to, and then all new readings. ZeroMQ's guide
uses a special proxy for this, the last value cache. In ``mq`` the publisher has the option ``last_values``. The first
frame of a message is its topic.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import trio

import mq

PLACES = (b"alps/zermatt", b"alps/chamonix", b"coast/brest")

say = partial(print, flush=True)


class Station:
    """Publishes readings that rise by one degree each time, so that old readings are easy to see."""

    def __init__(self, pub: mq.Pub) -> None:
        self.pub = pub
        self.degrees = 0

    async def measure(self) -> None:
        self.degrees += 1
        for place in PLACES:
            await self.pub.send_multipart([place, b"%d" % self.degrees])
        say(f"station measures {self.degrees} degrees everywhere")


async def listen(
    name: str, endpoint: str, topic: bytes, count: int, task_status: trio.TaskStatus[Callable[[], Awaitable[None]]]
) -> None:
    """Print ``count`` readings for ``topic``; ``started`` passes on a function that waits until they are printed."""
    done = trio.Event()
    async with mq.Sub() as sub:
        sub.subscribe(topic)
        sub.connect(endpoint)
        task_status.started(done.wait)
        for _ in range(count):
            place, degrees = await sub.receive_multipart()
            say(f"  {name:5} hears {place.decode()} {degrees.decode()}")
    done.set()


async def main() -> None:
    async with mq.Pub(last_values=100) as pub, trio.open_nursery() as nursery:
        endpoint = pub.bind("tcp://127.0.0.1:*")
        station = Station(pub)

        early = await nursery.start(listen, "early", endpoint, b"alps/", 4)
        await pub.wait_subscribed(b"alps/")  # waits for the subscription, so no reading is missed
        await station.measure()
        await station.measure()
        await early()

        late = await nursery.start(listen, "late", endpoint, b"", 6)
        await pub.wait_subscribed(b"coast/")
        await station.measure()
        await late()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    status = 0
    try:
        trio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
