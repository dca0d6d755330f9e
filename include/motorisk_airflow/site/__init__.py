"""Motorisk's pages in Airflow's UI: rendered by Airflow's API server for people who are logged in there.

Heavy at import (FastAPI, SQLAlchemy, Jinja): the plugin imports it when somebody opens a page.
"""
