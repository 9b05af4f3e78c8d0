"""Supervised actors for Trio: in tasks, threads and processes, over mq."""

from actors.errors import (
    ActorDied,
    CallCycle,
    ChildExists,
    ChildRunning,
    Error,
    NoSuchChild,
    PipelineError,
    RemoteError,
    RemoteTraceback,
    RestartsExhausted,
    SpecError,
    StartFailed,
    UnknownMessage,
)  # fmt: skip
from actors.life.actor import Actor, concurrent
from actors.nodes.references import Ref, monitor, tell
from actors.nodes.streams import Stream
from actors.pipelines.pipeline import Pipeline
from actors.pipelines.stage import Progress, Report, Stage
from actors.services.run import run
from actors.supervision.root import Root, open_supervisor
from actors.supervision.slots import ChildInfo, Counts
from actors.values.messages import Down
from actors.values.reasons import (
    Crashed,
    Exited,
    Killed,
    Lost,
    Normal,
    Reason,
    Shutdown,
    Signal,
    StartTimeout,
)  # fmt: skip
from actors.values.spec import Backoff, Child, Supervisor

__all__ = [
    "Actor", "ActorDied", "Backoff", "CallCycle", "Child", "ChildExists", "ChildInfo", "ChildRunning", "Counts",
    "Crashed", "Down", "Error", "Exited", "Killed", "Lost", "NoSuchChild", "Normal", "Pipeline",
    "PipelineError", "Progress", "Reason", "Ref", "RemoteError", "RemoteTraceback", "Report",
    "RestartsExhausted", "Root", "Shutdown", "Signal", "SpecError", "Stage", "StartFailed",
    "StartTimeout", "Stream", "Supervisor", "UnknownMessage", "concurrent", "monitor",
    "open_supervisor", "run", "tell",
]  # fmt: skip
