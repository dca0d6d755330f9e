"""The quote service over HTTP: Flask translates between requests and `motorisk.quoting`, and nothing else."""
