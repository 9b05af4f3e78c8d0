"""What is promised to users? Names, what they say of themselves, and options."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import attrs
import pytest

import mq
from mq.options import OptionArguments

SOCKETS = {"Socket", "Pair", "Push", "Pull", "Pub", "Sub", "XPub", "XSub", "Req", "Rep", "Dealer", "Router", "Client",
           "Server", "Radio", "Dish", "Scatter", "Gather", "Peer", "Channel", "Stream"}  # fmt: skip
EVENTS = {"Event", "Listening", "Closed", "Accepted", "AcceptFailed", "Connected", "ConnectDelayed", "ConnectRetried",
          "Handshaken", "HandshakeFailed", "Disconnected", "Dropped"}  # fmt: skip
ERRORS = {"Error", "InvalidEndpoint", "UnsupportedScheme", "BindError", "NotOpen", "WrongThread", "MultipartMessage",
          "PeerError", "ProtocolError", "OutOfTurn", "PeerLost", "Unroutable",
          "MissingExtra"}  # fmt: skip
VALUES = {"Options", "Statistics", "PeerStatistics"}
FUNCTIONS = {"curve_keypair", "proxy"}

BOTH = {"bind", "connect", "unbind", "disconnect", "aclose", "wait_connected", "monitor", "statistics"}
SENDS = {"send", "send_nowait", "send_multipart", "send_multipart_nowait"}
RECEIVES = {"receive", "receive_nowait", "receive_multipart", "receive_multipart_nowait", "__aiter__", "__anext__"}


def test_the_public_names_are_these() -> None:
    assert set(mq.__all__) == SOCKETS | EVENTS | ERRORS | VALUES | FUNCTIONS


def test_the_public_names_are_there_in_order_and_once() -> None:
    assert mq.__all__ == sorted(set(mq.__all__))
    assert all(hasattr(mq, name) for name in mq.__all__)


def test_nothing_else_is_at_the_door() -> None:
    others = {name for name, value in vars(mq).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert others == set(mq.__all__)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors_have_one_root(name: str) -> None:
    assert issubclass(getattr(mq, name), mq.Error)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_events_are_values(name: str) -> None:
    event = getattr(mq, name)
    assert issubclass(event, mq.Event)
    given = {field.name: 1.5 if field.name == "delay" else "x" for field in attrs.fields(event)}
    assert event(**given) == event(**given)
    assert hash(event(**given)) == hash(event(**given))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event(**given).endpoint = "y"


def public_members(kind: type[Any]) -> list[tuple[str, Any]]:
    """Return what ``kind`` and its ancestors of ours define in public."""
    found = {}
    for base in kind.__mro__:
        if base.__module__.split(".")[0] == "mq":
            for name, value in vars(base).items():
                if not name.startswith("_"):
                    found.setdefault(name, value)
    return sorted(found.items())


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_public_function_says_what_it_does(name: str) -> None:
    assert (getattr(mq, name).__doc__ or "").strip()


@pytest.mark.parametrize("name", sorted(set(mq.__all__) - FUNCTIONS))
def test_every_public_class_says_what_it_is(name: str) -> None:
    text = vars(getattr(mq, name)).get("__doc__")
    assert text
    assert text.strip()
    assert not text.startswith(f"{name}(")  # the signature that a decorator makes up


@pytest.mark.parametrize("name", sorted(set(mq.__all__) - FUNCTIONS))
def test_every_public_method_says_what_it_does(name: str) -> None:
    for member, value in public_members(getattr(mq, name)):
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if inspect.isfunction(function):
            assert (function.__doc__ or "").strip(), f"{name}.{member} has no docstring"


@pytest.mark.parametrize(
    ("name", "can"),
    [
        *((name, SENDS) for name in ("Push", "Pub")),
        *((name, RECEIVES) for name in ("Pull", "Sub")),
        *((name, SENDS | RECEIVES) for name in ("Pair", "XPub", "XSub", "Req", "Rep", "Dealer", "Router", "Stream")),
        *((name, {each for each in SENDS if "multipart" not in each}) for name in ("Scatter", "Radio")),
        *((name, {each for each in RECEIVES if "multipart" not in each}) for name in ("Gather", "Dish")),
        *(
            (name, {each for each in SENDS | RECEIVES if "multipart" not in each})
            for name in ("Channel", "Client", "Server", "Peer")
        ),
        ("Socket", set()),
    ],
)
def test_a_socket_has_what_it_can_do_and_nothing_else(name: str, can: set[str]) -> None:
    kind = getattr(mq, name)
    assert {each for each in BOTH | SENDS | RECEIVES if hasattr(kind, each)} == BOTH | can


@pytest.mark.parametrize("name", sorted(SOCKETS - {"Socket"}))
def test_waits_are_coroutines_and_the_rest_are_plain_calls(name: str) -> None:
    kind = getattr(mq, name)
    for method in BOTH | SENDS | RECEIVES:
        function = getattr(kind, method, None)
        waits = method in {"aclose", "wait_connected", "send", "send_multipart", "receive", "receive_multipart",
                           "__anext__"}  # fmt: skip
        if function is not None:
            assert inspect.iscoroutinefunction(function) is waits, method


@pytest.mark.parametrize("name", sorted(SOCKETS))
def test_no_method_takes_a_timeout(name: str) -> None:
    for member, value in public_members(getattr(mq, name)):
        if inspect.isfunction(value):
            assert not {"timeout", "timeout_seconds"} & set(inspect.signature(value).parameters), member


# -- options -----------------------------------------------------------------------------------------------


def test_the_arguments_that_type_checkers_see_are_the_options() -> None:
    assert get_type_hints(OptionArguments) == {
        field.name: hint for field in attrs.fields(mq.Options) for hint in [get_type_hints(mq.Options)[field.name]]
    }


@pytest.mark.parametrize("field", attrs.fields(mq.Options), ids=lambda field: field.name)
def test_every_option_says_what_it_does_and_what_libzmq_calls_it(field: attrs.Attribute[Any]) -> None:
    assert field.metadata["libzmq"] == "none" or field.metadata["libzmq"].startswith("ZMQ_")
    assert field.metadata["text"].endswith(".")
    assert field.validator is not None


TEXTS = {"bind_to_device", "socks_username", "socks_password"}
"""Options whose value is a text."""
SEVERAL = {"reconnect_stop", "router_notify", "tcp_accept_filter", "ipc_filter_pid", "ipc_filter_uid", "ipc_filter_gid"}
"""Options whose value is any number of values."""


@pytest.mark.parametrize("field", attrs.fields(mq.Options), ids=lambda field: field.name)
@pytest.mark.parametrize("value", [-1, "5", float("nan"), [], object()], ids=str)
def test_every_option_refuses_nonsense_by_name(field: attrs.Attribute[Any], value: object) -> None:
    if field.name in TEXTS and isinstance(value, str):
        value = ""
    if field.name in SEVERAL and value == []:
        value = [value]
    with pytest.raises(ValueError, match=field.name):
        mq.Pair(**{field.name: value})


@pytest.mark.parametrize("name", sorted(SOCKETS - {"Socket"}))
def test_an_unknown_option_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}.*no option 'sendhwm'.*send_hwm"):
        getattr(mq, name)(sendhwm=5)


def test_options_are_kept_as_given() -> None:
    push = mq.Push(send_hwm=5, linger=0.5)
    assert (push.options.send_hwm, push.options.linger) == (5, 0.5)
    assert push.options == mq.Options(send_hwm=5, linger=0.5)
