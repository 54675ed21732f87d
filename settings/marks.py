"""What stands for a missing value in a cell of any file."""

from __future__ import annotations

MISSING = ("", "NA", "N/A", "#N/A", "<NA>", "nan", "NaN", "NAN", "-nan", "null", "NULL", "None")
