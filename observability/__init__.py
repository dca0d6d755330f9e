"""Prometheus, Alertmanager and Grafana: their configuration, and what makes Grafana's dashboards."""
