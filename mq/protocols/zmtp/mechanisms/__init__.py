"""How do two peers come to trust each other? One file per security mechanism of ZMTP."""
