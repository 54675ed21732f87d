"""Scripts around runs."""
