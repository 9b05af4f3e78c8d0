"""A small service whose actors crash and restart. The program ends by itself; Ctrl-C ends it sooner.

    store      in a process: saves the totals to disk, so that they survive a restart; killed once with SIGKILL
    sensors    a supervisor of three threads that measure; one of them has a bug
    reporter   a task: prints a line now and then, and ends the program
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from pathlib import Path

import trio

import actors


def say(text: str) -> None:
    # One write: print() writes the end of the line separately, and other threads print too.
    print(f"{text}\n", end="", flush=True)


class Store(actors.Actor):
    """Counts measurements. The new total is on disk before a call returns."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.totals: dict[str, int] = json.loads(self.path.read_text()) if self.path.exists() else {}

    async def started(self) -> None:
        say(f"store     up in a process of its own, {sum(self.totals.values())} measurements on disk")

    async def stopping(self) -> None:
        say("store     closed")

    async def add(self, name: str) -> None:
        self.totals[name] = self.totals.get(name, 0) + 1
        whole = self.path.with_suffix(".new")  # the process may be killed between any two lines
        whole.write_text(json.dumps(self.totals))
        whole.replace(self.path)

    async def all(self) -> dict[str, int]:
        return self.totals

    async def pid(self) -> int:
        return os.getpid()


class Sensor(actors.Actor):
    """Measures. The sensor "shaky" fails at every third measurement."""

    def __init__(self, title: str) -> None:
        self.title = title

    async def started(self) -> None:
        say(f"{self.title:9} up in a thread")
        self.nursery.start_soon(self._measure)

    async def stopping(self) -> None:
        say(f"{self.title:9} down")

    async def _measure(self) -> None:
        store = await self.find("store")
        for number in range(1, 1_000_000):
            await trio.sleep(0.05)
            if self.title == "shaky" and number == 3:
                raise OSError("the wire came loose")
            try:
                await store.add(self.title)
            except actors.ActorDied as died:
                say(f"{self.title:9} was adding when {died}; goes on")


class Reporter(actors.Actor):
    """Monitors the store, kills it once, and ends the program."""

    async def started(self) -> None:
        self.nursery.start_soon(self._show)

    async def _show(self) -> None:
        store = await self.find("store")
        await trio.sleep(0.4)
        say("reporter  kills the store's process")
        async with store.monitor() as downs:
            os.kill(await store.pid(), signal.SIGKILL)
            down = await downs.receive()
        say(f"reporter  hears that the store was {down.reason}")
        await trio.sleep(0.4)
        totals = await store.all()
        say(f"reporter  the store is back with the totals of {', '.join(sorted(totals))}")
        self.stop()


def tree(path: str) -> actors.Supervisor:
    sensors = [
        actors.Child(Sensor, name, name=name, place="thread", backoff=actors.Backoff(initial=0.02, maximum=0.2))
        for name in ("north", "south", "shaky")
    ]
    return actors.Supervisor(
        actors.Child(Store, path, name="store", place="process"),
        actors.Supervisor(*sensors, name="sensors", intensity=100, period=5.0),
        actors.Child(Reporter, name="reporter", restart="transient", significant=True),
        intensity=3,
        period=5.0,
        auto_shutdown="any_significant",
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        actors.run(tree(str(Path(directory, "totals.json"))))
    say("all stopped")
