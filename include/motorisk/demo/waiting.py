"""Waiting for what Airflow brings about."""

import time
from collections.abc import Callable

from motorisk.demo.airflow import AirflowAway
from motorisk.errors import ComponentFailed

LOOK_SECONDS = 0.5


def wait_until(
    done: Callable[[], bool],
    otherwise: str,
    seconds: float,
    *,
    meanwhile: Callable[[], None] = lambda: None,
    advice: str = "",
) -> None:
    """Wait until something is done, also through times in which Airflow is away.

    After so many seconds `ComponentFailed` says what is said otherwise, why Airflow does not answer if it does not, and
    the advice. `meanwhile` is called between two looks.
    """
    deadline = time.monotonic() + seconds
    while True:
        reason = ""
        try:
            if done():
                return
        except AirflowAway as error:  # its API server is started again
            reason = f" ({error})"
        meanwhile()
        if time.monotonic() > deadline:
            raise ComponentFailed(f"{otherwise} within {seconds:.0f} s{reason}{advice}")
        time.sleep(LOOK_SECONDS)
