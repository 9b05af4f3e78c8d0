"""What is said and described: frozen values, no I/O."""
