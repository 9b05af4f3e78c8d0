"""What does each command do? One file per kind of command, and what they share."""
