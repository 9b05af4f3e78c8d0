"""How does a test run the command line? As processes of their own, whose standard streams it holds."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PATIENCE = 30
"""Seconds after which a process that should have ended has not."""

MQ = f"{shlex.quote(sys.executable)} -m mq"


def mq(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "mq", *arguments]


def done(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    return subprocess.run(mq(*arguments), input=given, capture_output=True, timeout=PATIENCE, check=False)


class Running:
    """A command that runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr

    def told(self, word: str) -> str:
        """Return what follows ``word`` on the next line of standard error that begins with it."""
        for line in self.stderr:
            if line.decode().startswith(f"{word} "):
                return line.decode().removeprefix(f"{word} ").rstrip("\n")
        raise AssertionError(f"nothing was told of {word}")

    def bound(self) -> str:
        return self.told("bound")

    def say(self, text: str) -> None:
        self.stdin.write(text.encode())
        self.stdin.flush()

    def line(self) -> str:
        return self.stdout.readline().decode()

    def end(self) -> tuple[int, str, str]:
        """Wait until it ends by itself; return its status, and what else it wrote."""
        if self.stdin.closed:
            self.process.stdin = None
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.decode(), err.decode()


@contextmanager
def running(*arguments: str, **options: Any) -> Iterator[Running]:
    """Run a command while the block lasts. Nobody outlives it."""
    # Unbuffered, so that a line that is read takes nothing away from what end() collects.
    process = subprocess.Popen(
        mq(*arguments), bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )
    command = Running(process)
    try:
        yield command
    finally:
        process.kill()
        process.wait()
        for stream in (command.stdin, command.stdout, command.stderr):
            with suppress(BrokenPipeError):
                stream.close()
