"""What is a peer told to do, and how does it tell whether it was done? Free of any messaging library."""

import os
import resource
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs

Result = dict[str, float] | None
"""What a role found out: its metrics by name, or nothing when the fellow holds the clock."""


class WrongMessage(Exception):
    """What arrived is not what was sent: the run proves nothing."""


@attrs.frozen
class Task:
    """One role's share: `warm_up` messages, then `count` measured ones, of `size` bytes, over `endpoint`.

    `fans`: how many peers there are on the side that has several. `topics`: how many each of them subscribes to.
    `window`: how many messages may be under way at once.
    """

    endpoint: str
    size: int
    count: int
    warm_up: int
    fans: int = 1
    topics: int = 1
    window: int = 1

    @property
    def body(self) -> bytes:
        return b"b" * self.size

    @property
    def last(self) -> bytes:
        """The last message differs from the others, so that a lost or a doubled one cannot go unseen."""
        return b"z" * self.size

    def rate(self, seconds: float) -> dict[str, float]:
        """Messages a second, when the clock ran from the first message to the last."""
        return {"rate": (self.count - 1) / seconds}

    def topic(self, number: int) -> bytes:
        """The topic of message `number`: eight digits, of as many topics as there are."""
        return b"%08d" % (number % self.topics)

    def published(self, count: int) -> Iterator[bytes]:
        """Messages about one topic after the other, the last one with another body."""
        padding = self.body[8:]
        topics = [self.topic(number) + padding for number in range(min(self.topics, count))]
        yield from (topics[number % len(topics)] for number in range(count - 1))
        yield self.topic(count - 1) + self.last[8:]

    def distinct(self, first: int, count: int) -> Iterator[bytes]:
        """Messages that share no memory, so that queueing them costs what it costs in life."""
        return (number.to_bytes(self.size, "big") for number in range(first, first + count))


def expect(received: bytes, wanted: bytes) -> None:
    """Raise WrongMessage unless this is the message that was sent."""
    if received != wanted:
        raise WrongMessage(f"expected {len(wanted)} bytes {wanted[:16]!r}, got {len(received)} bytes {received[:16]!r}")


def percentiles(laps: list[int]) -> dict[str, float]:
    """Nanoseconds of each round trip -> p50 and p99 in seconds."""
    return {"p50": statistics.median(laps) / 1e9, "p99": sorted(laps)[len(laps) * 99 // 100] / 1e9}


def allow_many_descriptors() -> None:
    """Let this process have as many open sockets as the system permits it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resident() -> int:
    """Bytes of this process in memory. Linux: smaps_rollup is exact, where statm lags by pages per thread."""
    smaps = Path("/proc/self/smaps_rollup")
    if smaps.exists():
        kilobytes = smaps.read_text().partition("Rss:")[2].split()[0]
    else:
        kilobytes = subprocess.check_output(["ps", "-o", "rss=", "-p", str(os.getpid())], text=True)
    return int(kilobytes) * 1024
