"""Checkpoints as files that run without this toolkit."""
