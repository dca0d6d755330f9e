"""The quote service at the other end: connections that are kept open, and retries.

A request whose connection breaks is sent again. Quotes carry an Idempotency-Key, so that this makes no second one;
`/predict/` and `/predict/mock` know none, and may then record a row twice.
"""

import json
import logging
import socket
import uuid
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import urllib3
from urllib3.util import Retry, Timeout

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.errors import MotoriskError
from motorisk.pipelines.traffic.endpoints import Endpoint

ANSWER_SECONDS = 30.0
CONNECT_SECONDS = 5.0
RETRIES = 6
LONGEST_PAUSE = 5
_AGAIN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)
# Not this row's fault, and no better for the next.
_POINTLESS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)

# Each retry would be a line in the midst of the progress bar.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class ServiceUnreachable(MotoriskError):
    """No quote service answers at the address."""

    title = "Quote service unreachable"


class TrafficRefused(MotoriskError):
    """The service refuses this client altogether."""

    title = "Requests refused"


class Answer(NamedTuple):
    """What became of a row: `reason` is None where it was answered; `is_fault`: the service's, not the row's."""

    reason: str | None = None
    is_fault: bool = False


_ANSWERED = Answer()


class Target:
    """An address of a quote service; shared by threads, with a connection for each of so many."""

    def __init__(self, url: str, endpoint: Endpoint, *, connections: int, api_key: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ServiceUnreachable(f"--url is like http://127.0.0.1:8000, got {url!r}")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise ServiceUnreachable(f"--url: {url!r} has an impossible port") from None
        self._name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._place = (parts.hostname, port)
        self._path = f"{parts.path.rstrip('/')}{endpoint}"
        self._is_named = endpoint is Endpoint.QUOTES
        self._headers = {"Content-Type": "application/json"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        kind = urllib3.HTTPSConnectionPool if parts.scheme == "https" else urllib3.HTTPConnectionPool
        self._pool = kind(
            parts.hostname, port, maxsize=connections, block=True, timeout=Timeout(CONNECT_SECONDS, read=ANSWER_SECONDS)
        )
        self._retries = Retry(
            total=RETRIES,
            allowed_methods=None,
            status_forcelist=_AGAIN,
            raise_on_status=False,
            redirect=False,
            backoff_factor=0.1,
            backoff_max=LONGEST_PAUSE,
            retry_after_max=LONGEST_PAUSE,
        )

    def require(self) -> None:
        """Raise `ServiceUnreachable` at once where nothing listens."""
        try:
            socket.create_connection(self._place, timeout=CONNECT_SECONDS).close()
        except OSError as error:
            raise ServiceUnreachable(f"nothing answers at {self._name}: {error.strerror or error}") from None

    def send(self, features: PolicyFeatures) -> Answer:
        """Send one policy.

        `ServiceUnreachable` where the service stays away, `TrafficRefused` where it takes no such requests.
        """
        headers = self._headers
        if self._is_named:
            headers = headers | {"Idempotency-Key": str(uuid.uuid4())}
        try:
            response = self._pool.urlopen("POST", self._path, body(features), headers, retries=self._retries)
        except urllib3.exceptions.HTTPError as error:
            cause = getattr(error, "reason", None) or error
            raise ServiceUnreachable(f"{self._name} does not answer any more: {type(cause).__name__}") from None
        status = response.status
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return _ANSWERED
        reason = f"{status} {_detail(response)}"
        if status in _POINTLESS or status < HTTPStatus.BAD_REQUEST:
            raise TrafficRefused(f"{self._name}{self._path} answers {reason}")
        return Answer(reason, is_fault=status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _AGAIN)

    def close(self) -> None:
        """End the connections."""
        self._pool.close()


def body(features: PolicyFeatures) -> bytes:
    """A policy as the workshop's client sends it."""
    document: dict[str, dict[str, Any]] = {"driver": {}, "vehicle": {}}
    for name, value in zip(PolicyFeatures._fields, features, strict=True):
        feature = FEATURES[name]
        document[feature.part][name] = bool(value) if feature.is_flag else value
    return json.dumps(document).encode()


def _detail(response: urllib3.BaseHTTPResponse) -> str:
    try:
        document = json.loads(response.data)
        return str(document["detail"])
    except (ValueError, KeyError, TypeError):
        return response.reason or ""
