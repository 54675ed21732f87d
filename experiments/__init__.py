"""Experiments: a training run said in a config file, and the files that it leaves."""
