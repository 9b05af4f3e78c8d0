"""What does each role do? One file per library; each function runs one role of a scenario to its end."""
