"""The ledger: what a network is made of and takes, layer by layer, without running it."""
