"""What does one process of a turn do? It plays one role: `python -m bench.peer LIBRARY ROLE TASK`.

It speaks with the fellow process in lines: what it says on stdout the bench passes to the fellow's stdin, and
the line that starts with RESULT is for the bench. When stdin closes the bench is gone, however it went, and
so is the peer.

Who sends last keeps its socket open until the fellow says "done": libzmq 4.3.5 over ipc, closed at once, loses
the last hundreds of messages in one run of three, although its linger is infinite.
"""

import importlib
import json
import os
import queue
import sys
import threading

from bench.task import Task

RESULT = "result "

#: Only the library that plays is imported, so that no other weighs on it.
LIBRARIES = {
    "mq": "bench.peers.ours",
    "mq, 10 peers": "bench.peers.ours",
    "pyzmq": "bench.peers.pyzmq_blocking",
    "zmq.asyncio": "bench.peers.pyzmq_asyncio",
    "Trio stream": "bench.peers.bare_trio",
    "memory channel": "bench.peers.bare_trio",
}


class Fellow:
    """The other process of the turn, or nobody."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def say(self, line: str) -> None:
        os.write(1, f"{line}\n".encode())

    def hear(self) -> str:
        """The next line of the fellow; blocks the thread."""
        return self._heard.get()

    def has_spoken(self) -> bool:
        """Whether `hear` would return at once."""
        return not self._heard.empty()

    def _listen(self) -> None:
        # Not sys.stdin: a daemon thread inside its lock would abort the interpreter's exit.
        pending = b""
        while chunk := os.read(0, 4096):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                self._heard.put(line.decode())
        os._exit(3)


def main(library: str, role: str, task: str) -> None:
    fellow = Fellow()
    result = importlib.import_module(LIBRARIES[library]).play(role, Task(**json.loads(task)), fellow)
    if result is not None:
        fellow.say(RESULT + json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
