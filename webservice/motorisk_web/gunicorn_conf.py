"""How gunicorn runs the quote service: `gunicorn -c python:motorisk_web.gunicorn_conf`.

Nothing that is imported here may import prometheus_client, which looks for its folder once.
"""

import gc
import os
import shutil
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from motorisk.errors import MotoriskError, SettingsError
from motorisk.ports import require_free_port
from motorisk.settings import settings as read_settings
from motorisk.warehouse.database import DATABASE, server_url
from motorisk_web.exposure import are_keys_required, is_public
from motorisk_web.strict_json import MAX_BODY_BYTES

RECEIVE_SECONDS = 5
SEND_SECONDS = 10
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def _give_up(error: MotoriskError) -> NoReturn:
    print(f"{error.title}: {error}", file=sys.stderr, flush=True)  # noqa: T201
    raise SystemExit(1)


try:
    _settings = read_settings()
    if _settings.database_url is not None:
        server_url(_settings, DATABASE)  # connects to nothing: only checks the address
    if _settings.quote_admin_port == _settings.quote_port:
        raise SettingsError(f"MOTORISK_QUOTE_ADMIN_PORT must not be MOTORISK_QUOTE_PORT, got {_settings.quote_port}")
except MotoriskError as _error:
    _give_up(_error)

_host = f"[{_settings.quote_host}]" if ":" in _settings.quote_host else _settings.quote_host

# Before anything imports prometheus_client, which looks at it once.
os.environ[METRICS_FOLDER] = tempfile.mkdtemp(prefix="motorisk-quote-metrics-")

wsgi_app = "motorisk_web.app:create_app()"
# Imported once and forked: workers start, also in the place of a dead one, in a moment, and share memory. The app
# connects to nothing and starts no thread before `post_worker_init`.
preload_app = True
_ports = {"MOTORISK_QUOTE_PORT": _settings.quote_port}
if _settings.quote_admin_port is not None:
    _ports["MOTORISK_QUOTE_ADMIN_PORT"] = _settings.quote_admin_port
bind = [f"{_host}:{port}" for port in _ports.values()]
workers = _settings.quote_workers
worker_class = "motorisk_web.balanced_worker.BalancedWorker"
threads = _settings.quote_threads
# Longer than load balancers keep idle connections, so that they close them, not we under their request.
keepalive = 75
timeout = 60  # a worker starts the embedded Postgres where nobody has yet
graceful_timeout = 20
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 8190
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - heartbeats must not wait for a disk
control_socket_disable = True  # it would be written into the home folder
logger_class = "motorisk_web.server_log.ServerLogger"
accesslog = "-" if _settings.quote_access_log else None


def on_starting(server: Any) -> None:
    """Refuse a port that is taken, and a host that is not this machine."""
    if "GUNICORN_FD" not in os.environ and "LISTEN_FDS" not in os.environ:  # else the socket is handed down
        # Gunicorn itself would try for five seconds and then say it in six lines.
        try:
            for name, port in _ports.items():
                require_free_port(_settings.quote_host, port, "quotes", name, host_variable="MOTORISK_QUOTE_HOST")
        except MotoriskError as error:
            shutil.rmtree(os.environ[METRICS_FOLDER], ignore_errors=True)
            _give_up(error)


def when_ready(server: Any) -> None:
    """Bound the wait for a client: else as many stalled ones as there are threads stop the service.

    Connections inherit the option (Linux).
    """
    for listener in server.LISTENERS:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", RECEIVE_SECONDS, 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
    _forget_gauges(os.getpid())  # made with the app in this process, which serves nothing
    if not are_keys_required(_settings) and is_public(_settings):
        server.log.warning(
            "MOTORISK_QUOTE_ACCESS=open on %s: whoever reaches this address gets quotes, without a key", _host
        )


def post_worker_init(worker: Any) -> None:
    """Start the thread that follows the champion: after the fork, which threads do not survive."""
    # What has been imported stays: looking through it for garbage again and again holds every request up.
    gc.collect()
    gc.freeze()
    worker.wsgi.extensions["motorisk"].refresher.start()


def pre_request(worker: Any, req: Any) -> None:
    """Announce the end of a connection on which a body may be left unread: gunicorn skips 64 KiB at most."""
    for name, value in req.headers:
        if name == "TRANSFER-ENCODING" or (name == "CONTENT-LENGTH" and int(value) >= MAX_BODY_BYTES):
            req.force_close()


def child_exit(server: Any, worker: Any) -> None:
    """Forget the gauges of a worker that is gone, and its connections; its counters stay."""
    from motorisk_web.balanced_worker import forget

    _forget_gauges(worker.pid)
    forget(worker)


def worker_exit(server: Any, worker: Any) -> None:
    """Write rows and log lines that wait."""
    if getattr(worker, "wsgi", None) is not None:
        worker.wsgi.extensions["motorisk"].recorder.flush()
    worker.log.close()


def on_exit(server: Any) -> None:
    """Remove the metrics' folder."""
    shutil.rmtree(os.environ[METRICS_FOLDER], ignore_errors=True)


def _forget_gauges(pid: int) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]
