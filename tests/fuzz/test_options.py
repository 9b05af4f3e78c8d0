"""Is any value for any option taken or refused by its name, and nothing else?"""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mq

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from([0, 1, -1, 255, 256, 2**31, 2**63, 2**64, 10**400, math.inf, -0.0, 1 + 2j]),
    st.text(max_size=300),
    st.binary(max_size=300),
    st.sampled_from(["connect", "refused", "10.0.0.0/8", "::1/128", "localhost:1080", "X-Unit", "\ud800", "\0"]),
)
anything = st.one_of(
    scalars,
    st.lists(scalars, max_size=4),
    st.frozensets(scalars, max_size=4),
    st.dictionaries(scalars, scalars, max_size=4),
    st.builds(object),
)


@pytest.mark.parametrize("field", attrs.fields(mq.Options), ids=lambda field: field.name)
@settings(derandomize=True, deadline=None, max_examples=100, database=None)
@given(value=anything)
def test_any_value_is_taken_or_refused_by_the_name_of_its_option(field: Any, value: Any) -> None:
    try:
        options = mq.Options(**{field.name: value})
    except ValueError as error:
        assert field.name in str(error)  # noqa: PT017 - it may also be taken
    else:
        assert repr(options)
        assert attrs.evolve(options) == options
