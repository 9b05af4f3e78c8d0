"""The roles, one library a file: each function plays one role of a scenario to its end."""
