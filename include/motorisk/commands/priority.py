"""Processes that share a machine with the quote service and must not slow it down."""

import os

NICENESS = 10


def give_way() -> None:
    """Run only when nobody else wants the processor; where the system knows no such class, with a low priority."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(NICENESS)
