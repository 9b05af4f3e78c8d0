"""What do the bytes say? Sans-I/O: bytes in, messages and bytes out; no clock, no socket, no scheduler."""
