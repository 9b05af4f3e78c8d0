"""How long is somebody let be? A while that grows while the thread is busy."""

from __future__ import annotations

import time

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
    patience = Patience(0.01, 0.05)
    seconds, over = [], []
    for _ in range(5):
        seconds.append(patience.begin())
        work(0.001)
        over.append(patience.ends())
    assert seconds == [0.01, 0.02, 0.04, 0.05, 0.05]
    assert over == [False, False, False, True, True]


@pytest.mark.parametrize("busy", [True, False])
def test_it_begins_anew(busy: bool) -> None:
    patience = Patience(0.01, 0.15)
    for _ in range(3):
        patience.begin()
        work(0.001)
        patience.ends()
    if busy:
        patience.reset()
    else:
        patience.begin()
        time.sleep(0.002)
        assert patience.ends()
    assert patience.begin() == 0.01
