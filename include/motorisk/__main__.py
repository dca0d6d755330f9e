"""`python -m motorisk` is `motorisk`."""

from motorisk.cli import main

main()
