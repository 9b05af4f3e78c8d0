"""What the tests of actors share: the places."""

import pytest

PLACES = ["task", "thread", "process"]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)
