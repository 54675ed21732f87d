"""What a run says: what was read, what was left out, how it ended, and where the files are."""
