"""The ledger: the size and costs of a network, layer by layer, without running it."""
