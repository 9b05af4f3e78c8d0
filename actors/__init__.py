"""Supervised actors for Trio: in tasks, threads and processes, over mq."""

from actors.actor import Actor, concurrent
from actors.errors import (
    ActorDied,
    ChildExists,
    ChildRunning,
    Error,
    NoSuchChild,
    RemoteError,
    RemoteTraceback,
    RestartsExhausted,
    SpecError,
    StartFailed,
    UnknownMessage,
)  # fmt: skip
from actors.messages import Down
from actors.pipeline import Pipeline
from actors.reasons import (
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
from actors.ref import Ref
from actors.root import Root, open_supervisor
from actors.run import run
from actors.spec import Backoff, Child, Supervisor
from actors.stage import PipelineError, Progress, Report, Stage
from actors.stream import Stream
from actors.supervisor import ChildInfo, Counts

__all__ = [
    "Actor", "ActorDied", "Backoff", "Child", "ChildExists", "ChildInfo", "ChildRunning", "Counts",
    "Crashed", "Down", "Error", "Exited", "Killed", "Lost", "NoSuchChild", "Normal", "Pipeline",
    "PipelineError", "Progress", "Reason", "Ref", "RemoteError", "RemoteTraceback", "Report",
    "RestartsExhausted", "Root", "Shutdown", "Signal", "SpecError", "Stage", "StartFailed",
    "StartTimeout", "Stream", "Supervisor", "UnknownMessage", "concurrent", "open_supervisor",
    "run",
]  # fmt: skip
