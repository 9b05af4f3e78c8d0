"""What do actors, callers and supervisors say to each other? One frozen class per sentence.

A message is a short header and, where it says so, a payload of the user's: arguments, a result, an item.
"""

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from actors.values.failure import Failure
from actors.values.reasons import Reason

Address = str  # "directory/name"; the carrier turns it into an inproc or ipc endpoint
Chain = tuple[tuple[str, int, str], ...]  # actors that wait for an answer meanwhile: (uid, generation, name)
Lineage = tuple[tuple[str, int], ...]  # incarnations, from the nearest supervisor to the root: (uid, generation)


@frozen
class Target:
    """What a reference names. `generation`: the latest that its supervisor had announced when this was made.

    `messages`: name -> is it a stream? None for a public method that is not async.
    """

    name: str
    uid: str
    generation: int
    lineage: Lineage
    board: Address
    messages: Mapping[str, bool | None] = field(hash=False)


# For an actor, by way of its node. Payload: (args, kwargs).


@frozen
class Call:
    """Run `method` and answer `caller`. `window` above 0 asks for a stream with so much credit.

    An incarnation serves only calls made to it: the caller of an earlier one has been told of its death.
    `chain`: the actors whose messages wait for the answer.
    """

    id: int
    uid: str
    generation: int
    method: str
    caller: Address
    window: int = 0
    chain: Chain = ()


@frozen
class Cast:
    uid: str
    generation: int
    method: str
    caller: Address


# For the node of a caller.


@frozen
class Reply:
    """Payload: the result."""

    id: int


@frozen
class Raised:
    id: int
    failure: Failure


@frozen
class Item:
    """Payload: one item of a stream."""

    id: int


@frozen
class End:
    id: int


@frozen
class Room:
    """The actor has taken so many messages of this node from its mailbox: as many more may be sent."""

    uid: str
    generation: int
    messages: int


# For the node of an actor.


@frozen
class Credit:
    """So many more items of a stream may be sent."""

    id: int
    items: int


@frozen
class Cancel:
    id: int


# Between a node and the board of a tree.


@frozen
class Watch:
    """Tell `watcher` how `uid` is, and whenever that changes; `generation` is the latest that it has heard of."""

    uid: str
    generation: int
    lineage: Lineage
    watcher: Address


@frozen
class Up:
    """`generation` serves at `node`; with node="" it does not yet. `capacity`: messages that may wait there."""

    uid: str
    generation: int
    node: Address
    capacity: int = 0


@frozen
class Down:
    """`generation` ended; `following` is the next one. `final`: it will not come unless asked for by hand."""

    uid: str
    generation: int
    following: int
    reason: Reason
    final: bool


@frozen
class Find:
    """Payload of the Reply: the reference to the nearest actor called `name`, or nothing.

    `lineage` begins with the actor that asks.
    """

    id: int
    lineage: Lineage
    name: str
    caller: Address


@frozen
class Left:
    """This node has ended, and wants to know nothing any more."""

    node: Address


# From a supervisor to the board; Up and Down as well.


@frozen
class Born:
    """There is a child; `about` is the packed reference to it. `nested`: it is a supervisor itself."""

    uid: str
    generation: int
    about: bytes
    nested: bool = False


@frozen
class Listed:
    """The supervisor has announced all children that it begins with."""


@frozen
class Starting:
    """`generation` starts; `home` is its own node, "" if it shares its supervisor's."""

    uid: str
    generation: int
    home: Address


@frozen
class Buried:
    """The supervisor has forgotten this child."""

    uid: str


@frozen
class Announce:
    lineage: Lineage
    news: Born | Listed | Starting | Up | Down | Buried


# On the control PAIR, in this order: Init, Serving; then Stop or nothing, then Exit.


@frozen
class Context:
    """Who an incarnation is. `lineage`: its supervisors; `board`: where its tree's board is; `home`: its own node."""

    name: str
    uid: str
    generation: int
    directory: str
    capacity: int
    lineage: Lineage
    board: Address
    home: Address = ""


@frozen
class Init:
    """Payload: (class, args, kwargs)."""

    context: Context


@frozen
class Serving:
    """Constructed, `started` has returned, and the mailbox is open."""

    node: Address


@frozen
class Stop:
    pass


@frozen
class Log:
    """A record of the child's logging, at any time; plain values only."""

    record: dict[str, Any] = field(hash=False)


@frozen
class Exit:
    reason: Reason


Message = (
    Call | Cast | Reply | Raised | Item | End | Room | Credit | Cancel
    | Watch | Up | Down | Find | Left | Announce | Init | Serving | Stop | Log | Exit
)  # fmt: skip
