"""Snapshots, estimators, folding into rating plans, evaluation and gates."""
