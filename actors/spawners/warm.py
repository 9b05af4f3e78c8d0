"""What does the fork server import, so that no child has to? Imported there, and only there."""

import ctypes  # noqa: F401
import signal

import actors.spawners.guard  # noqa: F401

# Children are born deaf to Ctrl-C; the server restores what stood before it began to serve.
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
