"""Which peer? One file per pattern of sockets, made from a few ways to send and to receive."""
