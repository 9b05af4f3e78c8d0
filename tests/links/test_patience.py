"""How long does a task leave something alone? For a pause that grows while the thread is busy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mq.links.patience import Patience


def work(seconds: float) -> None:
    """Keep this thread busy."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_with_time_to_spare_it_is_as_short_as_at_first_and_then_over() -> None:
    patience = Patience(0.01, 0.15)
    for _ in range(5):
        assert patience.begin() == 0.01
        time.sleep(0.002)
        assert patience.ends()


def test_while_the_thread_is_busy_it_doubles_up_to_a_limit() -> None:
    patience = Patience(0.001, 0.005)
    seconds, over = [], []
    for _ in range(5):
        seconds.append(patience.begin())
        work(seconds[-1])
        over.append(patience.ends())
    assert seconds == [0.001, 0.002, 0.004, 0.005, 0.005]
    assert over == [False, False, False, True, True]


@contextmanager
def another_program_on_this_core() -> Iterator[None]:
    """Have a busy program share one core with this thread."""
    cores = os.sched_getaffinity(0)
    core = {min(cores)}
    program = "print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE) as other:
        try:
            os.sched_setaffinity(other.pid, core)
            os.sched_setaffinity(0, core)
            assert other.stdout is not None
            other.stdout.readline()
            yield
        finally:
            os.sched_setaffinity(0, cores)
            other.kill()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a thread cannot choose its core here")
def test_a_pause_is_not_over_before_a_busy_thread_has_run_in_it() -> None:
    patience = Patience(0.05, 0.05)
    pauses, over = 0, False
    with another_program_on_this_core():
        began = time.thread_time()
        while not over:
            until = time.perf_counter() + patience.begin()
            while time.perf_counter() < until:
                pass
            over = patience.ends()
            pauses += 1
        ran = time.thread_time() - began
    assert ran > 0.75 * 0.05 or pauses > 1


@pytest.mark.parametrize("busy", [True, False])
def test_it_begins_anew(busy: bool) -> None:
    patience = Patience(0.001, 0.15)
    for _ in range(3):
        work(patience.begin())
        patience.ends()
    if busy:
        patience.reset()
    else:
        patience.begin()
        time.sleep(0.002)
        assert patience.ends()
    assert patience.begin() == 0.001
