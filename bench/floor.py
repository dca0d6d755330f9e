"""The yardstick of `bench/quotes.py`: a bare Flask route that answers a constant JSON under the service's settings.

`gunicorn -c python:bench.floor`
"""

from typing import Any

from flask import Flask, Response

from motorisk_web.gunicorn_conf import *  # noqa: F403  the very same settings

wsgi_app = "bench.floor:create_app()"


def post_worker_init(worker: Any) -> None:
    """Nothing follows a champion here."""


def worker_exit(server: Any, worker: Any) -> None:
    """Nothing is recorded here either."""
    worker.log.close()


def create_app() -> Flask:
    """One route; its answer has the size of a quote's."""
    app = Flask("floor")
    content = b'{"answer": "%s"}' % (b"x" * 1700)

    @app.post("/constant")
    def constant() -> Response:
        return Response(content, mimetype="application/json")

    return app
