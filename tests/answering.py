"""A server that answers what a test wants, in the place of one that breaks in ways a real one seldom does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

POLL_SECONDS = 0.01


@contextmanager
def answering(*answers: tuple[int | None, bytes]) -> Iterator[str]:
    """Give these answers, a status and a body each, one after the other, and the last for ever; yields the address.

    Without a status the connection ends.
    """
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            if status is None:
                return
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_PATCH = do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[POLL_SECONDS], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
