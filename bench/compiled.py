"""How does libzmq play without Python? A C program is compiled for each turn, where a compiler and zmq.h are there."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import trio

from bench.task import Task

IN_C = "libzmq in C"
"""The rival that uses libzmq's C API, one call for each message."""

_SOURCE = Path(__file__).parent / "peers" / "libzmq.c"


class NotCompiled(Exception):
    """This machine cannot compile the program: why not, and what to install."""


async def program(directory: str) -> Path:
    """Compile the C program into ``directory``. Raises NotCompiled."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotCompiled("there is no C compiler; install one, such as Debian's gcc")
    built = Path(directory, "libzmq")
    command = [compiler, "-O2", "-o", str(built), str(_SOURCE), "-lzmq", "-pthread"]
    run = await trio.run_process(command, check=False, stdout=subprocess.DEVNULL, capture_stderr=True)
    if run.returncode:
        said = (run.stderr or b"").decode(errors="replace")
        if "zmq.h" in said or "-lzmq" in said:
            raise NotCompiled("there is no zmq.h or no libzmq to link with; install Debian's libzmq3-dev")
        raise NotCompiled(f"{compiler} ended with status {run.returncode}:\n{said}")
    return built


def command(program: Path, role: str, task: Task) -> Sequence[str]:
    """Return the command line that plays ``role``. The roles that pass many messages at a time are the plain ones."""
    plain = role.removesuffix("_many")
    return [str(program), plain, task.endpoint, *map(str, (task.size, task.count, task.warm_up))]
