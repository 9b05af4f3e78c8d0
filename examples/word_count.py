"""Which names does Python code use most? Worker processes count them, and the result is right even if one is killed.

    python examples/word_count.py                     the standard library, about two thousand files
    python examples/word_count.py --kill --verify     kill a worker halfway, then check the totals
    python examples/word_count.py PATH... --workers 8

An identifier is a name outside strings and comments that is not a keyword.
"""

import argparse
import io
import keyword
import os
import re
import signal
import sys
import sysconfig
import time
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import trio

import actors

SKIPPABLE = (OSError, SyntaxError, UnicodeError)  # unreadable, unknown coding cookie, undecodable
# No possessive groups: before 3.11.5 Python matches them wrongly.
TOKEN = re.compile(
    r"""
      ([^\W\d]\w*+) (?!["'])                             # a name; before a quote it is r, b, f or a keyword
    | \d\w*+ (?: \.\w*+ )?                               # a number, so that 1e5 holds no name
    | \#[^\n]*+
    | \"{3} [^"\\]*+ (?: (?: \\. | "(?!"") ) [^"\\]*+ )* \"{3}
    | '{3}  [^'\\]*+ (?: (?: \\. | '(?!'') ) [^'\\]*+ )* '{3}
    | "     [^"\\\n]*+ (?: \\. [^"\\\n]*+ )* "
    | '     [^'\\\n]*+ (?: \\. [^'\\\n]*+ )* '
    """,
    re.VERBOSE | re.DOTALL,
)


# What a worker does -----------------------------------------------------------------------------------------


def count_names(source: str) -> Counter[str]:
    """Return the number of occurrences of each identifier in ``source``."""
    names = Counter(TOKEN.findall(source))
    for other in ("", *keyword.kwlist):
        names.pop(other, None)
    return names


def count_file(path: str) -> tuple[Counter[str], int, int]:
    """Return the identifiers of a file, its size in bytes, and the process id. Raises one of SKIPPABLE."""
    raw = Path(path).read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
    try:
        source = raw.decode(encoding)
    except LookupError as error:  # the named codec is not for text, such as base64
        raise SyntaxError(str(error)) from None
    return count_names(source), len(raw), os.getpid()


# The job ----------------------------------------------------------------------------------------------------


class Tally:
    """The sink of the pipeline: adds up the counts of the workers. Kills a worker at file number `kill_at`."""

    def __init__(self, console: "Console", kill_at: int | None = None) -> None:
        self.console = console
        self.kill_at = kill_at
        self.names: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}
        self.files = self.bytes = 0
        self.restarted = trio.Event()

    async def add(self, counted: tuple[Counter[str], int, int]) -> None:
        names, size, pid = counted
        self.names.update(names)
        self.bytes += size
        self.files += 1
        done = self.files + len(self.skipped)
        if self.kill_at is not None and done >= self.kill_at:
            self.kill_at = None
            self.console.say(f"killing worker process {pid} after {done} files")
            os.kill(pid, signal.SIGKILL)
            await self.restarted.wait()

    def skip(self, error: actors.PipelineError) -> None:
        cause = error.__cause__
        if not isinstance(cause, SKIPPABLE):
            raise error
        self.skipped[error.item] = f"{type(cause).__name__}: {cause}"
        self.console.say(f"skipped {error.item}: {self.skipped[error.item]}")

    def progress(self, now: actors.Progress) -> None:
        if now.restarts:
            self.restarted.set()
        self.console.show(now.delivered + now.failed)


async def count(files: list[str], workers: int, tally: Tally) -> actors.Report:
    """Count all files on worker processes into the tally."""
    batch = max(1, min(8, len(files) // (workers * 16)))
    stage = actors.Stage(count_file, workers=workers, place="process", batch=batch)
    pipeline = actors.Pipeline(files, [stage], tally.add, on_error=tally.skip, progress=tally.progress)
    return await pipeline.run()


def count_in_one_process(files: Iterable[str]) -> tuple[Counter[str], set[str]]:
    """Count without workers; return all identifiers and the skipped files."""
    names: Counter[str] = Counter()
    skipped = set()
    for path in files:
        try:
            names.update(count_file(path)[0])
        except SKIPPABLE:
            skipped.add(path)
    return names, skipped


def differences(counted: Counter[str], expected: Counter[str]) -> list[str]:
    """Return one line for each identifier with different counts."""
    return [
        f"{name}: counted {counted[name]}, expected {expected[name]}"
        for name in sorted(counted.keys() | expected.keys())
        if counted[name] != expected[name]
    ]


def python_files(paths: list[str]) -> list[str]:
    """Return all Python files below the paths, each once. A path that is a file is included whatever its name.

    A folder that cannot be read is included too: the worker that opens it reports the reason.
    """
    if paths:
        return list(dict.fromkeys(_walk(paths)))
    return list(_walk([sysconfig.get_path("stdlib")], without=["site-packages", "dist-packages"]))


def _walk(paths: list[str], without: Iterable[str] = ()) -> Iterator[str]:
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        closed: list[OSError] = []
        for folder, folders, names in os.walk(path, onerror=closed.append):
            folders[:] = sorted(set(folders) - set(without))
            yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".py"))
        yield from (error.filename for error in closed)


# What the user sees -----------------------------------------------------------------------------------------


class Console:
    """Progress on stderr: a bar on a terminal, otherwise one line per 10 %."""

    WIDTH = 40

    def __init__(self, total: int) -> None:
        self.total = total
        self.started = self.drawn = time.monotonic()
        self.tenths = 0
        self.terminal = sys.stderr.isatty()

    def show(self, done: int) -> None:
        now = time.monotonic()
        state = f"{done} of {self.total} files, {done / max(now - self.started, 1e-9):.0f} files/s"
        if self.terminal and (now - self.drawn > 0.1 or done == self.total):
            filled = self.WIDTH * done // self.total
            bar = "█" * filled + "░" * (self.WIDTH - filled)
            end = "\n" if done == self.total else ""
            line = f"{bar} {100 * done // self.total:3} %  {state}"
            print("\r\033[K" + line, end=end, file=sys.stderr, flush=True)
            self.drawn = now
        elif not self.terminal and done * 10 // self.total > self.tenths:
            self.tenths = done * 10 // self.total
            print(f"{self.tenths * 10} %: {state}", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        print("\r\033[K" * self.terminal + line, file=sys.stderr, flush=True)


def print_results(tally: Tally, report: actors.Report, seconds: float, workers: int) -> None:
    for name, times in tally.names.most_common(20):
        print(f"{times:9} {name}")
    megabytes = tally.bytes / 1e6
    print(f"{tally.files} files, {megabytes:.1f} MB in {seconds:.2f} s on {workers} worker processes")
    print(f"{tally.files / seconds:.0f} files/s, {megabytes / seconds:.1f} MB/s")
    print(f"skipped: {len(tally.skipped)}")
    print(f"restarts: {report.restarts}")
    print(f"redelivered: {report.redelivered}")


def verify(files: list[str], tally: Tally) -> bool:
    """Count again without workers, and print the identifiers whose counts differ."""
    started = time.monotonic()
    names, skipped = count_in_one_process(files)
    wrong = differences(tally.names, names)
    if skipped != tally.skipped.keys():
        wrong.append(f"files skipped: {sorted(tally.skipped)}, expected {sorted(skipped)}")
    if wrong:
        print("NOT VERIFIED: the totals of one process differ", *wrong[:10], sep="\n  ")
        return False
    print(f"verified: one process counts the same in {time.monotonic() - started:.2f} s")
    return True


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="folders and files; default: the standard library")
    add("--workers", type=int, default=os.cpu_count() or 1, help="default: one per core, here %(default)s")
    add("--kill", action="store_true", help="kill a worker with SIGKILL halfway")
    add("--verify", action="store_true", help="count again in one process; fail unless identical")
    chosen = parser.parse_args()
    if chosen.workers < 1:
        parser.error(f"--workers must be at least 1, not {chosen.workers}")
    for path in chosen.paths:
        if not os.path.lexists(path):
            parser.error(f"no such file or folder: {path}")
    chosen.files = python_files(chosen.paths)
    if not chosen.files:
        parser.error(f"no Python files below {', '.join(chosen.paths)}")
    return chosen


def main() -> int:
    chosen = arguments()
    kill_at = (len(chosen.files) + 1) // 2 if chosen.kill else None
    tally = Tally(Console(len(chosen.files)), kill_at)
    started = time.monotonic()
    # Ctrl-C raises one KeyboardInterrupt in the main task, not in the task that happens to run.
    report = trio.run(
        count, chosen.files, chosen.workers, tally, restrict_keyboard_interrupt_to_checkpoints=True
    )
    print_results(tally, report, time.monotonic() - started, chosen.workers)
    return 0 if not chosen.verify or verify(chosen.files, tally) else 1


if __name__ == "__main__":
    try:
        code = main()
        print(end="", flush=True)
        sys.exit(code)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output has closed it, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
