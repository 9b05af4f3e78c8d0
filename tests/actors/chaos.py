"""A random program against a real tree: starts, stops, restarts, deletions, crashes, calls, casts and streams at once.

`python -m tests.actors.chaos --seconds 600` runs it long; the tests run it short. Every call must end, every monitor
must hear of deaths in order, and in the end the state shown must be the state that is.
"""

import argparse
import logging
import os
import random
import signal
import time
from contextlib import suppress

import trio

import actors

STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
NAMES = "abcst"  # s and t are supervisors
INNER = ("x", "y")
LIMIT = 20.0  # seconds; far above what any call takes on a busy machine
EXPECTED = (
    actors.ActorDied, actors.StartFailed, actors.NoSuchChild, actors.ChildExists, actors.ChildRunning,
    trio.ClosedResourceError,
)  # fmt: skip


class Part(actors.Actor):
    """Fails in every way that an actor can."""

    async def hello(self) -> int:
        return os.getpid()

    async def boom(self) -> None:
        raise RuntimeError("on purpose")

    async def end(self) -> None:
        self.stop()

    async def wait(self) -> None:
        await trio.sleep_forever()

    async def count(self):
        for number in range(100):
            yield number


class Chaos:
    """One random program; the same seed takes the same decisions, though not at the same moments."""

    def __init__(self, seed: int, places: tuple[str, ...], seconds: float) -> None:
        self.random = random.Random(seed)
        self.places = places
        self.until = time.monotonic() + seconds
        self.steps = 0
        self.refs: list[actors.Ref] = []

    @property
    def running(self) -> bool:
        return time.monotonic() < self.until

    def spec(self, name: str) -> actors.Child | actors.Supervisor:
        restart = self.random.choice(["permanent", "permanent", "transient", "temporary"])
        backoff = self.random.choice([None, None, 0.01])
        place = self.random.choice(self.places)
        if name in "st":
            inner = [self.spec(name) for name in INNER]
            return actors.Supervisor(
                *inner, name=name, place=place, restart=restart, backoff=backoff,
                strategy=self.random.choice(STRATEGIES), intensity=self.random.choice([1, 100]),
            )  # fmt: skip
        return actors.Child(
            Part, name=name, place=place, restart=restart, backoff=backoff, shutdown=self.random.choice([0, 1.0])
        )

    async def run(self, strategy: str) -> None:
        """Run it to its end; raises AssertionError when a promise is broken."""
        async with actors.open_supervisor(
            *(self.spec(name) for name in NAMES), strategy=strategy, intensity=10**6
        ) as root:
            self.remember(*(child.ref for child in root.children()))
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(self.operate, root)
                    nursery.start_soon(self.call)
                    nursery.start_soon(self.break_things)
                    nursery.start_soon(self.watch)
            await self.check(root)

    async def operate(self, root) -> None:
        """Be an operator."""
        while self.running:
            name = self.random.choice(NAMES)
            action = self.random.choice(["stop", "restart", "delete", "start", "cancelled start", "look", "inner"])
            with limit(f"{action} {name}"), suppress(*EXPECTED):
                match action:
                    case "stop":
                        await root.stop(name)
                    case "restart":
                        await root.restart(name)
                    case "delete":
                        root.delete(name)
                    case "start":
                        self.remember(await root.start(self.spec(name)))
                    case "cancelled start":
                        with trio.move_on_after(self.random.random() / 50):
                            await root.start(self.spec(name))
                    case "look":
                        root.children()
                        root.count()
                    case "inner":
                        self.remember(await root.get(f"{self.random.choice('st')}/{self.random.choice(INNER)}"))
            await self.pause()

    def remember(self, *refs) -> None:
        """Keep references to actors, also to some that are down or forgotten."""
        self.refs = [*self.refs, *(ref for ref in refs if ref.name.split("/")[-1] not in "st")][-10:]

    async def pause(self) -> None:
        self.steps += 1
        await trio.sleep(self.random.choice([0, 0, 0.001, 0.01]))

    async def call(self) -> None:
        """Be a client: a call, a cast or a stream ends with what it says or with ActorDied."""
        while self.running:
            ref = self.random.choice(self.refs)
            action = self.random.choice(["call", "stream", "cancelled call"])
            with limit(f"{action} {ref}"), suppress(actors.ActorDied):
                match action:
                    case "call":
                        assert await ref.hello()
                    case "stream":
                        assert [item async for item in ref.count()] == list(range(100))
                    case "cancelled call":
                        with trio.move_on_after(self.random.random() / 50):
                            await ref.wait()
            await self.pause()

    async def break_things(self) -> None:
        """Crash, end and kill."""
        while self.running:
            ref = self.random.choice(self.refs)
            action = self.random.choice(["boom", "end", "kill"])
            with limit(f"{action} {ref}"), suppress(actors.ActorDied):
                match action:
                    case "boom":
                        await ref.boom.tell()
                    case "end":
                        await ref.end()
                    case "kill":
                        pid = await ref.hello()
                        if pid != os.getpid():
                            with suppress(ProcessLookupError):
                                os.kill(pid, signal.SIGKILL)
            await self.pause()
            await trio.sleep(0.005)

    async def watch(self) -> None:
        """Hear of every death once, in order."""
        while self.running:
            ref = self.random.choice(self.refs)
            with suppress(actors.ActorDied), trio.move_on_after(self.random.random()):
                async with ref.monitor() as deaths:
                    last = 0
                    async for death in deaths:
                        assert death.generation > last, f"{ref}: death {death.generation} after {last}"
                        last = death.generation
            await self.pause()

    async def check(self, root) -> None:
        """Let it come to rest; then up is up and down is down."""
        with limit("coming to rest"):
            while any(child.state not in ("up", "down") for child in root.children()):  # noqa: ASYNC110
                await trio.sleep(0.005)
            for child in root.children():
                hello = child.ref.count if child.name in "st" else child.ref.hello
                if child.state == "up":
                    assert await hello()
                else:
                    try:
                        await hello()
                    except actors.ActorDied:
                        continue
                    raise AssertionError(f"{child.ref} is down and answers")


class limit:
    """A block that has to end within LIMIT seconds; says which one did not."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.scope = trio.CancelScope()

    def __enter__(self) -> None:
        self.scope.deadline = trio.current_time() + LIMIT
        self.scope.__enter__()

    def __exit__(self, *error: object) -> bool:
        swallowed = self.scope.__exit__(*error)
        if self.scope.cancelled_caught:
            raise AssertionError(f"{self.what} has no end within {LIMIT:g} s")
        return bool(swallowed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--places", default="task,thread,process")
    chosen = parser.parse_args()
    logging.disable()
    seeds = [chosen.seed] if chosen.seed is not None else [random.randrange(10**9) for _ in range(10**6)]
    until = time.monotonic() + chosen.seconds
    for seed in seeds:
        strategy = STRATEGIES[seed % 3]
        chaos = Chaos(seed, tuple(chosen.places.split(",")), min(5.0, chosen.seconds))
        print(f"seed {seed}, {strategy}", flush=True)
        trio.run(chaos.run, strategy)
        print(f"  held over {chaos.steps} steps", flush=True)
        if time.monotonic() > until:
            return


if __name__ == "__main__":
    main()
