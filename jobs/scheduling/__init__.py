"""Who comes next, who may pass, and when."""
