"""`motorisk serve`: the quote service."""

import importlib.util
import os
import sys

from motorisk.commands.output import JsonOption, print_json
from motorisk.errors import ComponentFailed
from motorisk.ports import authority
from motorisk.settings import settings


def serve(json: JsonOption = False) -> None:
    """Run the quote service under gunicorn, in the foreground (MOTORISK_QUOTE_HOST, MOTORISK_QUOTE_PORT)."""
    if importlib.util.find_spec("motorisk_web") is None or importlib.util.find_spec("gunicorn") is None:
        raise ComponentFailed("the quote service is not installed (extra `web`)")
    if json:
        print_json({"url": f"http://{authority(settings().quote_host, settings().quote_port)}"})
        sys.stdout.flush()
    arguments = [sys.executable, "-m", "gunicorn", "-c", "python:motorisk_web.gunicorn_conf"]
    os.execv(sys.executable, arguments)  # noqa: S606
