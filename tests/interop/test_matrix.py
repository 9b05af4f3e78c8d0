"""Does each type of socket understand each type of libzmq's that it may talk to? Also after one of them was away."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from .libzmq import join
from .rows import ROWS, Row
from .system_libzmq import Library, load

rows = pytest.mark.parametrize("row", ROWS, ids=str)
binders = pytest.mark.parametrize("binder", ["ours", "theirs"])


@binders
@rows
async def test_messages_pass(row: Row, wire_endpoint: str, binder: str, deadline: None) -> None:
    async with row.open_theirs() as theirs, row.open_ours() as ours:
        await row.begin_ours(ours)
        await row.begin_theirs(theirs)
        join(ours, theirs, wire_endpoint, binder)
        await ours.wait_connected()
        await row.talk(row, ours, theirs)


@pytest.fixture(scope="session")
def system() -> Library:
    """The libzmq of the operating system, where it is older than pyzmq's."""
    library = load()
    if library is None:
        pytest.skip("no libzmq is installed; on Debian: apt-get install libzmq5")
    return Library(library)


@binders
@rows
async def test_messages_pass_with_the_libzmq_of_the_system(
    row: Row, wire_endpoint: str, binder: str, system: Library, deadline: None
) -> None:
    async with row.open_theirs(system) as theirs, row.open_ours() as ours:
        await row.begin_ours(ours)
        await row.begin_theirs(theirs)
        join(ours, theirs, wire_endpoint, binder)
        await ours.wait_connected()
        await row.talk(row, ours, theirs)


@binders
@rows
async def test_we_stay_while_libzmq_goes_and_comes_back(
    row: Row, wire_endpoint: str, binder: str, deadline: None
) -> None:
    async with row.open_ours(reconnect_interval=0.01, reconnect_interval_max=0.01) as ours:
        await row.begin_ours(ours)
        address = ""
        for _ in range(2):
            async with row.open_theirs() as theirs:
                await row.begin_theirs(theirs)
                if not address:
                    address = join(ours, theirs, wire_endpoint, binder)
                elif binder == "ours":
                    theirs.connect(address)
                else:
                    theirs.bind(address)
                await ours.wait_connected()
                await row.talk(row, ours, theirs)
            await row.lonely(ours, theirs, "ours")


@binders
@rows
async def test_libzmq_stays_while_we_go_and_come_back(
    row: Row, wire_endpoint: str, binder: str, deadline: None
) -> None:
    # With IMMEDIATE libzmq tells us when it knows that we are gone.
    async with row.open_theirs(RECONNECT_IVL=10, IMMEDIATE=1) as theirs, AsyncExitStack() as first:
        await row.begin_theirs(theirs)
        ours = await first.enter_async_context(row.open_ours())
        await row.begin_ours(ours)
        address = join(ours, theirs, wire_endpoint, binder)
        await ours.wait_connected()
        await row.talk(row, ours, theirs)
        await first.aclose()
        await row.lonely(ours, theirs, "theirs")
        async with row.open_ours() as ours:
            await row.begin_ours(ours)
            if binder == "ours":
                ours.bind(address)
            else:
                ours.connect(address)
            await ours.wait_connected()
            await row.talk(row, ours, theirs)
