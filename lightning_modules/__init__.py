"""The networks of the papers and the LightningModule that trains them."""
