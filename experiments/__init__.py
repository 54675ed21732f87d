"""Experiments: a training run described by a config file, and the files that it writes."""
