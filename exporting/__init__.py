"""Checkpoints exported as files that run without this toolkit."""
