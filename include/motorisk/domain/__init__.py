"""Policies, risks, rules, tariffs and rating plans: values and pure functions, no I/O."""
