"""What log lines look like: one JSON object a line, or text where a person reads along.

Whatever raised an error is told by its class and by where it was, in one line: an error's message may hold what a
client sent, and inputs and keys have no place in logs.
"""

import logging
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

from motorisk.settings import Settings
from motorisk_web.request_ids import current_request_id

PLACES = 12
"""The innermost calls that are named."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def is_json(settings: Settings) -> bool:
    """Whether lines are JSON: `auto` means unless a person reads along on a terminal."""
    return settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())


def instant(seconds: float) -> str:
    """Seconds since the epoch as log lines write them."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _places(trace: TracebackType | None) -> str:
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        module = trace.tb_frame.f_globals.get("__name__", code.co_filename)
        found.append(f"{module}.{code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(found[-PLACES:])


def exception_line(exc_info: ExcInfo) -> str:
    """An error as one line without its message: class, where it was raised, and the same of what caused it."""
    parts: list[str] = []
    error = exc_info[1]
    while error is not None and len(parts) < PLACES:
        parts.append(f"{type(error).__name__} at {_places(error.__traceback__)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " caused by ".join(parts)


class JsonLines(OrjsonFormatter):
    """A log record as one line of JSON."""

    def __init__(self) -> None:
        super().__init__("{message}", style="{")

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Nothing is left to do."""
        return log_data

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """The fields, in the order of the line."""
        log_data["time"] = instant(record.created)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["message"] = record.getMessage()
        log_data["pid"] = record.process
        request_id = current_request_id()
        if request_id is not None:
            log_data["request_id"] = request_id
        if record.exc_info:
            log_data["error"] = exception_line(record.exc_info)


class TextLines(logging.Formatter):
    """A log record as one line of text."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(process)d] [%(levelname)s] %(message)s", "[%Y-%m-%d %H:%M:%S %z]")

    def formatException(self, ei: Any) -> str:  # noqa: N802  the library's name
        """An error without its message."""
        return exception_line(ei)
