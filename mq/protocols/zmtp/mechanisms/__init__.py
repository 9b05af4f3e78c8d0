"""How does a handshake proceed? One file per security mechanism of ZMTP."""
