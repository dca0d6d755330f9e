"""Pricing many policies at once."""
