"""Who is where, and who wants to know? The board of a tree: one machine, held by the root, without I/O.

Supervisors announce what happens to their children; nodes watch actors and hear of each birth and death. Messages
of one sender arrive in order, those of different senders in any: so the announcements of a supervisor may overtake
the announcement that it was started, and a question may overtake the birth it is about. Each name comes with the
incarnation that was meant, and a generation counts upwards, also across its supervisor's restarts
(`generation = supervisor's generation * 2**32 + n`). From that the board knows what is late (dropped), what is early
(held until the announcement that is missing, or the death that makes it void), and what is true now.

The state of a child:

    waiting ──Starting──▶ starting ──Up──▶ up
       ▲                      └──────┬─────┘
       │◀──── Down, its supervisor's death      (a death: told to the watchers once)
       └───── Starting ───── down ◀── Down(final)     (watchers are told once more, and forgotten)

Invariants:

1. Every watcher gets an answer: now, or when the announcement it waits for comes or can no longer come.
2. A watcher hears of each death once, in the order of the generations; after a final one of nothing more.
3. An announcement of an incarnation whose death was told changes nothing.
4. The death of a supervisor is the death of all below it: final if it is final, and final for a child that its next
   incarnation does not list.
5. When all announcements have arrived, nothing is held, and the state of each child is the one last announced.
6. The board remembers the children that exist, the nodes that watch them, and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from actors.protocols.entries import EPOCH, Entry
from actors.values.messages import (
    Address,
    Born,
    Buried,
    Down,
    Find,
    Lineage,
    Listed,
    Message,
    Starting,
    Up,
    Watch,
)  # fmt: skip
from actors.values.reasons import Lost, Reason
from actors.values.uids import uid_below

News = Born | Listed | Starting | Up | Down | Buried


class Board:
    """The children of all supervisors of a tree."""

    def __init__(
        self, root: str, tell: Callable[[Address, Message], None], find: Callable[[Find, bytes], None]
    ) -> None:
        self._tell = tell
        self._answer = find
        self._entries = {root: Entry(root, None, 0, "up", nested=True)}
        self._watching: dict[Address, set[str]] = {}
        self._early: dict[tuple[str, int], deque[tuple[Lineage, News]]] = {}
        self._held: dict[str, list[tuple[Callable[..., Any], tuple[Any, ...]]]] = {}
        self._changed: list[str] = []
        self._acts: dict[type[Any], Callable[[Entry, Any], None]] = {
            Born: self._born, Listed: self._listed, Starting: self._starting, Up: self._up, Down: self._down,
            Buried: self._buried,
        }  # fmt: skip

    # -- what arrives

    def announce(self, lineage: Lineage, news: News) -> None:
        """A supervisor, the first of `lineage`, says what has become of one of its children."""
        self._announce(lineage, news)
        self._settle()

    def watch(self, watch: Watch) -> None:
        """Tell a node how an actor is, now and whenever that changes, until it is down for good."""
        self._watch(watch)
        self._settle()

    def find(self, question: Find) -> None:
        """Answer with the packed reference of the nearest actor of that name, or with nothing."""
        self._find(question)
        self._settle()

    def forget(self, node: Address) -> None:
        """A node has ended: it wants to know nothing any more."""
        for uid in self._watching.pop(node, ()):
            entry = self._entries.get(uid)
            if entry is not None:
                entry.watchers.pop(node, None)

    # -- early, late, or now?

    def _hold(self, uid: str, act: Callable[..., Any], *args: Any) -> None:
        self._held.setdefault(uid, []).append((act, args))

    def _settle(self) -> None:
        """Look again at what was held for entries that have changed."""
        while self._changed:
            for act, args in self._held.pop(self._changed.pop(), ()):
                act(*args)

    def _incarnation(self, lineage: Lineage) -> Entry | str | None:
        """The supervisor that is meant; the uid of whom to wait for, if it is early; None if it is late."""
        above: Entry | None = None
        for uid, generation in reversed(lineage):
            entry = self._entries.get(uid)
            if entry is None:
                if above is None or generation <= above.seen:
                    return None
                return above.uid
            if entry.generation > generation:
                return None
            if entry.generation < generation or entry.state in ("waiting", "down"):
                return uid
            above = entry
        return above

    def _announce(self, lineage: Lineage, news: News) -> None:
        early = self._early.setdefault(lineage[0], deque())
        early.append((lineage, news))
        if len(early) == 1:
            self._release(lineage[0])

    def _release(self, sender: tuple[str, int]) -> None:
        """Obey the announcements of one incarnation in order, up to one that is early."""
        early = self._early[sender]
        while early:
            lineage, news = early[0]
            supervisor = self._incarnation(lineage)
            if isinstance(supervisor, str):
                self._hold(supervisor, self._release, sender)
                return
            if supervisor is not None:
                self._acts[type(news)](supervisor, news)
            early.popleft()
        del self._early[sender]

    def _watch(self, watch: Watch) -> None:
        found = self._now(watch)
        if isinstance(found, str):
            self._hold(found, self._watch, watch)
        elif isinstance(found, Reason):
            self._tell(watch.watcher, Down(watch.uid, watch.generation, 0, found, final=True))
        else:
            found.watchers[watch.watcher] = None
            self._watching.setdefault(watch.watcher, set()).add(found.uid)
            node = found.node if found.state == "up" else ""
            self._tell(watch.watcher, Up(found.uid, found.generation, node, found.capacity))

    def _now(self, watch: Watch) -> Entry | str | Reason:
        """The actor's entry; the uid of whom to wait for; or why it is down for good."""
        above: Entry | None = None
        for uid, generation in (*reversed(watch.lineage), (watch.uid, watch.generation)):
            entry = self._entries.get(uid)
            if entry is None:
                if above is None:
                    return Lost("it belongs to another tree")
                if above.nested and (not above.listed or generation > above.seen):
                    return above.uid
                return Lost("its supervisor does not know it")
            if entry.state == "down":
                # Whoever asks may know of a start by hand that has not been announced yet.
                return uid if generation >= entry.generation else entry.reason or Lost()
            if uid != watch.uid and generation > entry.generation:
                return uid
            above = entry
        assert above is not None
        return above

    def _find(self, question: Find) -> None:
        asks = self._incarnation(question.lineage)
        if isinstance(asks, str):
            self._hold(asks, self._find, question)
            return
        for uid, _generation in question.lineage[1:] if asks is not None else ():
            found = self._entries.get(uid_below(uid, question.name))
            if found is not None and found.parent is self._entries.get(uid):
                self._answer(question, found.about)
                return
        self._answer(question, b"")

    # -- what supervisors announce

    def _child(self, supervisor: Entry, uid: str) -> Entry:
        return supervisor.children[uid]

    def _born(self, supervisor: Entry, news: Born) -> None:
        entry = supervisor.children.get(news.uid)
        if entry is None:
            entry = self._entries[news.uid] = supervisor.children[news.uid] = Entry(news.uid, supervisor, 0)
        entry.generation, entry.about, entry.state = news.generation, news.about, "waiting"
        entry.nested = news.nested
        if not news.nested:  # whatever was below another child of this name
            self._bury_below(entry, Lost("replaced"))
        self._seen(supervisor, news.generation)
        self._changed.append(entry.uid)

    def _seen(self, supervisor: Entry, generation: int) -> None:
        if generation > supervisor.seen:
            supervisor.seen = generation
            self._changed.append(supervisor.uid)

    def _listed(self, supervisor: Entry, _news: Listed) -> None:
        supervisor.listed = True
        begun = supervisor.generation << EPOCH
        for child in list(supervisor.children.values()):
            if child.generation < begun:
                self._end(child, Lost("its supervisor was restarted without it"))
        self._changed.append(supervisor.uid)

    def _starting(self, supervisor: Entry, news: Starting) -> None:
        entry = supervisor.children[news.uid]
        entry.generation, entry.state, entry.home, entry.listed = news.generation, "starting", news.home, False
        self._seen(supervisor, news.generation)
        self._changed.append(entry.uid)

    def _up(self, supervisor: Entry, news: Up) -> None:
        entry = supervisor.children[news.uid]
        entry.state, entry.node, entry.capacity = "up", news.node, news.capacity
        self._broadcast(entry, news)
        self._changed.append(entry.uid)

    def _down(self, supervisor: Entry, news: Down) -> None:
        entry = supervisor.children[news.uid]
        if news.final:
            self._bury_below(entry, news.reason)
        else:
            self._orphan_below(entry, news.reason)
        self._die(entry, news)
        self._seen(supervisor, news.following)

    def _buried(self, supervisor: Entry, news: Buried) -> None:
        entry = supervisor.children[news.uid]
        self._end(entry, entry.reason or Lost("its supervisor does not know it"))

    # -- deaths

    def _die(self, entry: Entry, news: Down) -> None:
        """Enter a death, and tell of it."""
        entry.generation, entry.reason, entry.node, entry.listed = news.following, news.reason, "", False
        entry.state = "down" if news.final else "waiting"
        if entry.home:
            self.forget(entry.home)
            entry.home = ""
        self._broadcast(entry, news)
        if news.final:
            for watcher in entry.watchers:
                self._watching[watcher].discard(entry.uid)
                if not self._watching[watcher]:
                    del self._watching[watcher]
            entry.watchers.clear()
        self._changed.append(entry.uid)

    def _broadcast(self, entry: Entry, news: Up | Down) -> None:
        for watcher in list(entry.watchers):
            self._tell(watcher, news)

    def _orphan_below(self, supervisor: Entry, reason: Reason) -> None:
        """The supervisor will be restarted, and perhaps its children."""
        for entry in list(supervisor.children.values()):
            self._orphan_below(entry, reason)
            if entry.state in ("starting", "up"):
                # The next incarnation is of another epoch: above, and unknown.
                following = entry.generation + 1
                lost = Lost(f"its supervisor {reason}")
                self._die(entry, Down(entry.uid, entry.generation, following, lost, final=False))
            if not entry.watchers and not entry.children:
                self._remove(entry)

    def _bury_below(self, supervisor: Entry, reason: Reason) -> None:
        for entry in list(supervisor.children.values()):
            self._end(entry, Lost(f"its supervisor {reason}"))

    def _end(self, entry: Entry, reason: Reason) -> None:
        """Down for good, with all below, and forgotten."""
        self._bury_below(entry, reason)
        if entry.state != "down":
            self._die(entry, Down(entry.uid, entry.generation, 0, reason, final=True))
        self._remove(entry)

    def _remove(self, entry: Entry) -> None:
        if self._entries.get(entry.uid) is entry:
            del self._entries[entry.uid]
        if entry.parent is not None:
            entry.parent.children.pop(entry.uid, None)
        self._changed.append(entry.uid)

    # -- for those who look

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    @property
    def holding(self) -> int:
        """How many announcements and questions wait for others."""
        return sum(map(len, self._early.values())) + sum(map(len, self._held.values()))
