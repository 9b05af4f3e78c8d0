"""What do actors, callers and supervisors say to each other? One frozen class per sentence.

A message is a short header and, where it says so, a payload of the user's: arguments, a result, an item.
"""

from attrs import frozen

from actors.values.failure import Failure
from actors.values.reasons import Reason

Address = str  # "directory/name"; the carrier turns it into an inproc or ipc endpoint


# To a mailbox. Payload: (args, kwargs).


@frozen
class Call:
    """Run `method` and answer `caller`. `window` above 0 asks for a stream with so much credit.

    An incarnation serves only calls made to it: the caller of an earlier one has been told of its death.
    """

    id: int
    method: str
    generation: int
    caller: Address
    window: int = 0


@frozen
class Cast:
    method: str


# To the node of a caller.


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


# To the node an actor runs on; these overtake the mailbox.


@frozen
class Credit:
    id: int
    items: int


@frozen
class Cancel:
    id: int


# Between the node of a caller and the node of a supervisor.


@frozen
class Watch:
    """Tell `watcher` how `uid` is, and whenever that changes."""

    uid: str
    watcher: Address


@frozen
class Up:
    """`generation` of the actor runs, or is about to; `node` takes its Credit and Cancel."""

    uid: str
    generation: int
    node: Address


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
    """Payload of the Reply: the reference to the child `name` of supervisor `uid`, or None."""

    id: int
    uid: str
    name: str
    caller: Address


# On the control PAIR, in this order: Init, Ready, Serve, Serving; then Stop or nothing, then Exit.


@frozen
class Context:
    """Who an incarnation is. `lineage`: its supervisors from the nearest to the root, and their nodes."""

    name: str
    uid: str
    generation: int
    directory: str
    capacity: int
    lineage: tuple[tuple[str, Address], ...]

    @property
    def mailbox(self) -> Address:
        return f"{self.directory}/{self.uid}"


@frozen
class Init:
    """Payload: (class, args, kwargs)."""

    context: Context


@frozen
class Ready:
    """Constructed, and `started` has returned; no mailbox yet."""


@frozen
class Serve:
    pass


@frozen
class Serving:
    """The mailbox is bound."""

    node: Address


@frozen
class Stop:
    pass


@frozen
class Exit:
    reason: Reason


Message = (
    Call | Cast | Reply | Raised | Item | End | Credit | Cancel
    | Watch | Up | Down | Find | Init | Ready | Serve | Serving | Stop | Exit
)  # fmt: skip
