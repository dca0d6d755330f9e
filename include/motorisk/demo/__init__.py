"""The whole platform on one machine: `motorisk demo`."""
