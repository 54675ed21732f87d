"""What the command line is made of: the flags and their help, and what goes together."""
