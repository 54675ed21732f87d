"""Learning in many homes without gathering their data."""
