"""Learning in many homes without gathering their data."""

import os

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when Flower is imported; without it, it reports runs to its makers
