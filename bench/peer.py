"""What does one process of a turn do? It plays one role: `python -m bench.peer LIBRARY ROLE TASK`.

The peer exchanges lines with its fellow, the other process of the turn. The bench copies each line of stdout to the
stdin of the fellow. Only the line that starts with RESULT is for the bench. When stdin closes, the bench has ended,
and the peer ends too.

The side that sends last keeps its socket open until the fellow says "done". If libzmq 4.3.5 over ipc closes at once,
it loses the last hundreds of messages in one of three runs, although its linger is infinite.
"""

import importlib
import json
import os
import queue
import sys
import threading

from bench.task import Task

RESULT = "result "

#: Only the measured library is imported, so that no other library influences the result.
LIBRARIES = {
    "mq": "bench.peers.ours",
    "mq, 10 peers": "bench.peers.ours",
    "pyzmq": "bench.peers.pyzmq_blocking",
    "zmq.asyncio": "bench.peers.pyzmq_asyncio",
    "Trio stream": "bench.peers.bare_trio",
    "memory channel": "bench.peers.bare_trio",
}


class Fellow:
    """The other process of the turn, if there is one."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def say(self, line: str) -> None:
        os.write(1, f"{line}\n".encode())

    def hear(self) -> str:
        """Return the next line of the fellow; blocks the thread."""
        return self._heard.get()

    def has_spoken(self) -> bool:
        """Return whether `hear` would return at once."""
        return not self._heard.empty()

    def _listen(self) -> None:
        # Not sys.stdin: a daemon thread that holds its lock would abort the interpreter at exit.
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
