"""What a setting is, and how text becomes its value."""
