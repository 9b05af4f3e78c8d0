"""Who runs, and who wants to know? What the supervisors of one run announce about their children."""

from collections.abc import Callable
from typing import Any

from attrs import Factory, define

from actors.values.messages import Address, Down, Message, Up
from actors.values.reasons import Lost


@define(eq=False)
class Entry:
    """One child as its callers see it."""

    state: Up | Down
    watchers: set[Address] = Factory(set)


class Board:
    """The children of this run's supervisors, by uid, and the nodes to tell when one of them changes."""

    def __init__(self, post: Callable[[Address, Message], None]) -> None:
        self._post = post
        self._entries: dict[str, Entry] = {}
        self._names: dict[str, Callable[[str], Any]] = {}

    def put(self, state: Up | Down) -> None:
        """Set a child's state and tell everyone who watches it."""
        entry = self._entries.get(state.uid)
        if entry is None:
            self._entries[state.uid] = Entry(state)
            return
        entry.state = state
        for watcher in entry.watchers:
            self._post(watcher, state)

    def remove(self, uid: str) -> None:
        """Forget a child that is down for good, as are its watchers' questions."""
        self._entries.pop(uid, None)

    def watch(self, uid: str, watcher: Address) -> None:
        """Tell `watcher` the state now and from now on. An unknown child is down for good."""
        entry = self._entries.get(uid)
        if entry is None:
            self._post(watcher, Down(uid, 0, 0, Lost("its supervisor does not know it"), final=True))
            return
        entry.watchers.add(watcher)
        self._post(watcher, entry.state)

    def unwatch(self, watcher: Address) -> None:
        for entry in self._entries.values():
            entry.watchers.discard(watcher)

    def name(self, supervisor: str, find: Callable[[str], Any]) -> None:
        """Answer questions for the children of this supervisor by `find`."""
        self._names[supervisor] = find

    def unname(self, supervisor: str) -> None:
        self._names.pop(supervisor, None)

    def find(self, supervisor: str, name: str) -> Any:
        find = self._names.get(supervisor)
        return None if find is None else find(name)
