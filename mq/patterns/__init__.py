"""Which peer gets or sends the next message? One file per pattern, built from a few ways to send and receive."""
