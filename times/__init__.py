"""Times: how people and programs write them, and how the steps of a series go on."""
