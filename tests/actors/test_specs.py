"""Specs say what is wrong with them on creation."""

import pytest

import actors
from tests.actors.zoo import Account


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"place": "moon"}, "place='moon': expected one of 'task', 'thread', 'process'"),
        ({"restart": "never"}, "restart='never'"),
        ({"shutdown": -1}, "shutdown=-1: expected seconds"),
        ({"shutdown": float("nan")}, "expected seconds"),
        ({"start_timeout": "5"}, "start_timeout='5'"),
        ({"name": "a/b"}, "without '/'"),
        ({"mailbox": 0}, "mailbox=0"),
    ],
)
def test_a_wrong_child_is_refused(options, told):
    with pytest.raises(actors.SpecError, match=told.replace("(", r"\(")):
        actors.Child(Account, "ann", **options)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"strategy": "all"}, "strategy='all'"), ({"intensity": -1}, "intensity=-1"), ({"period": -1}, "period=-1")],
)
def test_a_wrong_supervisor_is_refused(options, told):
    with pytest.raises(actors.SpecError, match=told):
        actors.Supervisor(**options)


def test_two_children_of_one_name_are_refused():
    with pytest.raises(actors.SpecError, match="same name"):
        actors.Supervisor(actors.Child(Account, "a", name="x"), actors.Child(Account, "b", name="x"))


def test_only_classes_and_specs_are_children():
    with pytest.raises(actors.SpecError, match="Actor class"):
        actors.Child(Account("ann"))
    with pytest.raises(actors.SpecError, match="Child or a Supervisor"):
        actors.Supervisor(Account)


def test_a_message_may_not_take_a_name_that_references_use():
    with pytest.raises(TypeError, match="called monitor: references have an attribute of that name"):
        class Bad(actors.Actor):
            async def monitor(self):
                pass
