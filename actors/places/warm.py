"""What does the fork server import, so that no child has to? Imported there, and only there."""

import ctypes  # noqa: F401
import os
import signal

import actors.places.guard  # noqa: F401

# A signal to the whole group, from a terminal or timeout(1), is the supervisor's: it says who stops when.
os.setpgid(0, 0)
# Ignoring discards what came meanwhile. The server restores in its children what stood before it began to serve.
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
signal.signal(signal.SIGTERM, signal.SIG_DFL)
