"""What saying who one is costs a request, in the process: `python -m bench.access`.

Keys, rates, request ids, headers and the access line, each by itself, since gunicorn's and the machine's noise would
hide them; beside the access line stands gunicorn's own, which it replaces.
"""

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from gunicorn.config import Config
from gunicorn.glogging import Logger
from rich.console import Console
from rich.table import Table

from motorisk.domain.api_key import key_digest, new_key
from motorisk.quoting.clients import Clients, KnownKey
from motorisk.quoting.database import Database
from motorisk.settings import Settings
from motorisk_web import request_ids
from motorisk_web.access import Access
from motorisk_web.measurements import Measurements
from motorisk_web.security import add_header, added_headers
from motorisk_web.server_log import ServerLogger

CALLS, ROUNDS = 5_000, 9


def microseconds(work: Callable[[], object]) -> float:
    """The median of several rounds, each the mean of many calls."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            work()
        rounds.append((time.perf_counter() - start) / CALLS * 1e6)
    return statistics.median(rounds)


def environ(key: str) -> dict[str, Any]:
    """What gunicorn makes of a request."""
    return {
        "REQUEST_METHOD": "POST", "RAW_URI": "/v1/quotes", "PATH_INFO": "/v1/quotes", "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_PORT": "8000", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http",
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "150", "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_AUTHORIZATION": f"Bearer {key}", "motorisk.route": "/v1/quotes", "motorisk.client": "bench",
        "motorisk.request_id": "0" * 32,
    }  # fmt: skip


def main() -> None:
    """Print the table."""
    with TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), quote_access="keys", quote_rate=1e9)
        key = new_key()
        clients = Clients(Database(settings), Path(folder))
        known = KnownKey(key.key_id, "bench", key_digest(key.text), None, float("inf"), is_revoked=False)
        clients._keys = {key.key_id: known}  # without a database
        access = Access(settings, clients, Measurements())
        asked = environ(key.text)
        verdict_headers = [("RateLimit-Policy", '"client";q=250;w=1'), ("RateLimit", '"client";r=249;t=1')]

        def admit() -> None:
            asked.pop("motorisk.headers", None)
            access.admit("quotes", asked)

        def name() -> None:
            asked.pop("motorisk.headers", None)
            add_header(asked, request_ids.HEADER, request_ids._request_id(asked))

        cfg = Config()
        cfg.set("accesslog", "-")
        cfg.set("access_log_format", '%(h)s %(t)s "%(m)s %(U)s %(H)s" %(s)s %(b)s %(M)sms')
        response = SimpleNamespace(status="201 CREATED", sent=1700, headers=verdict_headers)
        message = SimpleNamespace(headers=[("HOST", "x"), ("CONTENT-TYPE", "application/json")])
        took = timedelta(microseconds=900)
        console = Console(stderr=True, width=100)
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            theirs = Logger(cfg)
            before = microseconds(lambda: theirs.access(response, message, asked, took))
            ours = ServerLogger(cfg)
            ours._access_lines._descriptor = nowhere.fileno()
            line = microseconds(lambda: ours.access(response, message, asked, took))
            ours.close()
        rows = {
            "key and rate": microseconds(admit),
            "request id": microseconds(name),
            "headers, put together": microseconds(lambda: added_headers(asked)),
            "access line": line,
        }
        table = Table("", "µs a request", title="What access costs a request", title_justify="left")
        for what, cost in rows.items():
            table.add_row(what, f"{cost:.1f}")
        table.add_row("together (bar 60)", f"{sum(rows.values()):.1f}")
        table.add_row("gunicorn's own access line, which goes", f"{before:.1f}")
        console.print(table)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
