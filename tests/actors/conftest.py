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
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alarm)
        yield
        nursery.cancel_scope.cancel()


async def alarm() -> None:
    await trio.sleep(20)
    pytest.fail("the test waits for something that does not come")
