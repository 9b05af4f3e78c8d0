"""What the tests of actors share: the places, and a guard against waiting for ever."""

from collections.abc import AsyncIterator

import pytest
import trio

PLACES = ["task", "thread", "process"]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
async def guarded() -> AsyncIterator[None]:
    with trio.fail_after(20):
        yield
