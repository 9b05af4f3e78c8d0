"""A place in the supervisor's own thread. Being cancelled is being killed."""

from actors.life.child import be_child
from actors.nodes.node import Node
from actors.values.reasons import Reason

ACROSS_PROCESSES = False


async def run(where: str, name: str, node: Node) -> Reason | None:
    """Run one incarnation to its end; it has told the reason itself."""
    await be_child(where, node)
    return None
