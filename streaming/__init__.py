"""A model's answers to a stream of samples or messages."""
