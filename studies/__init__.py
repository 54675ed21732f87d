"""A search over configurations: what is varied, the trials and who runs them, what they came to."""
