"""What do the bytes mean? Sans-I/O: bytes in, messages and bytes out; no clock, no OS socket, no scheduler."""
