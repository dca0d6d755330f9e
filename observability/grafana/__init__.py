"""Grafana's dashboards, made by `python -m observability.grafana.build`."""
