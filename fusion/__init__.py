"""Staged multimodal encoders: training in stages, and a sensor that changes."""
