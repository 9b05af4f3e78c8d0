"""How is one peer driven? The room that sees both bytes and pipes: between transports and sockets."""
