"""What does a peer have to do, and how does it report the result? This file uses no messaging library."""

import os
import resource
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs

Result = dict[str, float] | None
"""The metrics of a role by name, or None if the fellow measures the time."""


class WrongMessage(Exception):
    """A received message differs from the sent one, so the run proves nothing."""


@attrs.frozen
class Task:
    """The work of one role: `warm_up` messages, then `count` measured messages, of `size` bytes each, over `endpoint`.

    `fans` is the number of peers on the side with several peers. `topics` is the number of topics of each subscriber.
    `window` is the number of messages in flight.
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
        """The last message differs from the others, so that a lost or doubled message is noticed."""
        return b"z" * self.size

    def rate(self, seconds: float) -> dict[str, float]:
        """Return messages per second, if the time was measured from the first message to the last."""
        return {"rate": (self.count - 1) / seconds}

    def topic(self, number: int) -> bytes:
        """Return the topic of message `number`: eight digits, one of `topics` different ones."""
        return b"%08d" % (number % self.topics)

    def published(self, count: int) -> Iterator[bytes]:
        """Yield messages that use the topics in turn; the last message has another body."""
        padding = self.body[8:]
        topics = [self.topic(number) + padding for number in range(min(self.topics, count))]
        yield from (topics[number % len(topics)] for number in range(count - 1))
        yield self.topic(count - 1) + self.last[8:]

    def distinct(self, first: int, count: int) -> Iterator[bytes]:
        """Yield messages that share no memory, so that queueing them costs as much as in a real program."""
        return (number.to_bytes(self.size, "big") for number in range(first, first + count))


def expect(received: bytes, wanted: bytes) -> None:
    """Raise WrongMessage unless this is the message that was sent."""
    if received != wanted:
        raise WrongMessage(f"expected {len(wanted)} bytes {wanted[:16]!r}, got {len(received)} bytes {received[:16]!r}")


def percentiles(laps: list[int]) -> dict[str, float]:
    """Nanoseconds of each round trip -> p50 and p99 in seconds."""
    return {"p50": statistics.median(laps) / 1e9, "p99": sorted(laps)[len(laps) * 99 // 100] / 1e9}


def allow_many_descriptors() -> None:
    """Raise the limit of open descriptors of this process to the maximum that the system permits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resident() -> int:
    """Return the resident bytes of this process. Linux: smaps_rollup is exact, statm lags by pages per thread."""
    smaps = Path("/proc/self/smaps_rollup")
    if smaps.exists():
        kilobytes = smaps.read_text().partition("Rss:")[2].split()[0]
    else:
        kilobytes = subprocess.check_output(["ps", "-o", "rss=", "-p", str(os.getpid())], text=True)
    return int(kilobytes) * 1024
