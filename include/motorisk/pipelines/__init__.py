"""The use cases that DAGs and the command line call."""
