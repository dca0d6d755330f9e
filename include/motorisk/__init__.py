"""Motorisk: trains, approves, serves and watches a motor insurer's risk models."""
