"""Networks as the pages know them: the catalogue, what a network is made of, and its drawing."""
