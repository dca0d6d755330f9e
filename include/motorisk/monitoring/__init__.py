"""Drift of the inputs and realised performance."""
