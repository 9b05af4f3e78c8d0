"""A place in the supervisor's own run. Being cancelled is being killed; no wire is needed."""

ACROSS_PROCESSES = False
