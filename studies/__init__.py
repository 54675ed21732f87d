"""A search over configurations: the space, the trials and their processes, the results."""
