"""What does a user learn whose libzmq wants a security mechanism? That this is the likely reason."""

from __future__ import annotations

from typing import Any

import pytest
import zmq

import mq

from ..conftest import next_event
from .libzmq import libzmq

PUBLIC, SECRET = zmq.curve_keypair()
CURVE: dict[str, Any] = {"CURVE_PUBLICKEY": PUBLIC, "CURVE_SECRETKEY": SECRET}
THEIRS: dict[str, dict[str, Any]] = {
    "CURVE server": {**CURVE, "CURVE_SERVER": 1},
    "CURVE client": {**CURVE, "CURVE_SERVERKEY": PUBLIC},
    "PLAIN server": {"PLAIN_SERVER": 1},
    "PLAIN client": {"PLAIN_USERNAME": b"ann", "PLAIN_PASSWORD": b"secret"},
}


@pytest.mark.parametrize("binder", ["ours", "theirs"])
@pytest.mark.parametrize("theirs", THEIRS)
async def test_a_mechanism_that_we_do_not_have_is_named_as_the_likely_reason(
    wire_endpoint: str, theirs: str, binder: str, deadline: None
) -> None:
    async with mq.Push(linger=0) as push, push.monitor() as events, libzmq(zmq.PULL, **THEIRS[theirs]) as pull:
        if binder == "ours":
            pull.connect(push.bind(wire_endpoint))
        else:
            push.connect(pull.bind(wire_endpoint))
        reason = (await next_event(events, mq.HandshakeFailed)).reason
        assert "mechanism mismatch: NULL here" in reason
        assert theirs.partition(" ")[0] in reason
        assert "mq does not have yet" in reason
