#!/usr/local/bin/python -IS
"""Tell by exit code 0 whether a part of the platform is alive: the images' health check.

usage: alive quotes | alive URL | alive URL COMPONENT

`quotes` asks the quote service of this container, on its admin port where it has one. With COMPONENT, the answer has
to be Airflow's report of its health, in which that component (`scheduler`, `dag_processor`, `triggerer`) is healthy.
Nothing but the standard library, without the packages of its environment: it runs every few seconds.
"""

import json
import os
import sys
import urllib.request

TIMEOUT_SECONDS = 4
# The engine may set a proxy in every container; it does not reach what is asked here.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def address(where: str) -> str:
    """The address to ask."""
    if where != "quotes":
        return where
    port = os.environ.get("MOTORISK_QUOTE_ADMIN_PORT") or os.environ.get("MOTORISK_QUOTE_PORT") or "8000"
    return f"http://127.0.0.1:{port}/healthz"


def main(where: str, component: str | None = None) -> str | None:
    """What is wrong, or None."""
    url = address(where)
    try:
        with DIRECTLY.open(url, timeout=TIMEOUT_SECONDS) as answer:
            content = answer.read()
    except OSError as error:
        return f"{url}: {error}"
    if component is None:
        return None
    status = (json.loads(content).get(component) or {}).get("status")
    return None if status == "healthy" else f"{component}: {status or 'unknown'}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
