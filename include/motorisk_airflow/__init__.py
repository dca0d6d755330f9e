"""What the DAGs share and only Airflow understands: assets, defaults, retry policy, dates."""
