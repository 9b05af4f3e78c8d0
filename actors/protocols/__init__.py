"""What follows from what: decisions without I/O."""
