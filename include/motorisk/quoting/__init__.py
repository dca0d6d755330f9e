"""Pricing one policy at a time, in plain Python: what the quote service runs."""
