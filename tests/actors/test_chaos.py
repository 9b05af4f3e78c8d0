"""The random program, for a moment; `make chaos` runs it long."""

import logging

import pytest

from tests.actors.chaos import STRATEGIES, Chaos


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_tree_keeps_its_promises_whatever_happens_at_once(strategy, caplog):
    caplog.set_level(logging.CRITICAL, "actors")
    await Chaos(7, ("task", "task", "thread", "process"), seconds=0.5).run(strategy)
