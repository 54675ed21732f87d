"""What is solved on a run's windows at once, in place of epochs."""
