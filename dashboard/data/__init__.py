"""The Data page: what there is to train on, how it looks, and whether it is sound."""
