"""The command line: each module is a room of commands; `motorisk.cli` puts them together."""
