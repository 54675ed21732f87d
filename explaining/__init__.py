"""What a finished model looks at: how much worse it is when a part of its input is shuffled among windows."""
