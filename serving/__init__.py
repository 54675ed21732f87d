"""A finished run as an object that predicts, for a program that holds its data in memory: `tsrun.load`."""
