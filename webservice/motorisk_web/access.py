"""Who asks, whether they may, and how fast."""

from collections.abc import MutableMapping
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import NotFound

from motorisk.domain.api_key import PREFIX
from motorisk.errors import TooManyRequests
from motorisk.quoting.clients import Clients, KeyRefused, KnownKey
from motorisk.registry.clients import RESERVED
from motorisk.settings import Settings
from motorisk_web.exposure import are_keys_required
from motorisk_web.measurements import Measurements
from motorisk_web.rates import Rates
from motorisk_web.security import add_header

PUBLIC_BLUEPRINTS = frozenset({"docs", "health"})
"""What needs no key; every other address does where keys are required."""
PAGE = "page"
PAGE_VISITORS = "(page)"
"""Whom the page's quotes count for, all together; no client has such a name."""
ADMIN_BLUEPRINTS = frozenset({"health", "metrics"})
"""What moves to the admin port where there is one."""
DEFAULT_RATE = 500.0
"""Requests a second of a client with a key, unless a setting or the key says otherwise."""

_CLIENT = "motorisk.client"
_REALM = 'Bearer realm="motorisk"'
_FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


def client_of(environ: MutableMapping[str, Any]) -> str | None:
    """Who sent a request; None where nobody had to say."""
    return environ.get(_CLIENT)


def current_client() -> str | None:
    """Who sent the present request; None where nobody had to say."""
    return request.environ.get(_CLIENT)


def _presented(environ: MutableMapping[str, Any]) -> str | None:
    """The key that came with a request."""
    scheme, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        return str(value).strip()
    return environ.get("HTTP_X_API_KEY")


def _is_this_machine(environ: MutableMapping[str, Any]) -> bool:
    """Whether a program of this machine asks for itself, rather than as a proxy for others."""
    address = environ.get("REMOTE_ADDR", "").removeprefix("::ffff:")
    return (address == "::1" or address.startswith("127.")) and not any(name in environ for name in _FORWARDED)


class Access:
    """The gate of one app."""

    def __init__(self, settings: Settings, clients: Clients, measurements: Measurements) -> None:
        self.are_keys_required = are_keys_required(settings)
        self._clients = clients
        self._measurements = measurements
        self._rates = Rates(settings.quote_workers)
        self._client_rate = DEFAULT_RATE if settings.quote_rate is None else settings.quote_rate
        self._anybodys_rate = settings.quote_rate or 0.0
        self._admin_port = None if settings.quote_admin_port is None else str(settings.quote_admin_port)

    def admit(self, blueprint: str, environ: MutableMapping[str, Any]) -> None:
        """Let a request in, or raise why not: `NotFound`, `KeyRefused`, `TooManyRequests`, `DatabaseUnavailable`."""
        if self._admin_port is not None:
            is_admin = environ.get("SERVER_PORT") == self._admin_port
            if is_admin != (blueprint in ADMIN_BLUEPRINTS):
                raise NotFound
            if is_admin:
                return
        if blueprint in PUBLIC_BLUEPRINTS:
            return
        if blueprint == PAGE:
            self._limit(PAGE_VISITORS, self._client_rate, environ)
            return
        if blueprint == "metrics" and (not self.are_keys_required or _is_this_machine(environ)):
            return
        try:
            key = self._key(environ)
        except KeyRefused as error:
            self._measurements.request_unauthorized(error.reason)
            add_header(environ, "WWW-Authenticate", _REALM + (error.reason != "missing") * ', error="invalid_token"')
            raise
        if key is None:
            self._limit(RESERVED, self._anybodys_rate, environ)
            return
        environ[_CLIENT] = key.client
        self._limit(key.client, self._client_rate if key.rate is None else key.rate, environ)

    def _key(self, environ: MutableMapping[str, Any]) -> KnownKey | None:
        presented = _presented(environ)
        if self.are_keys_required:
            if not presented:
                raise KeyRefused("missing", "send an API key, as Authorization: Bearer mtr_… or as X-API-Key")
        elif presented is None or not presented.startswith(PREFIX):
            return None  # what else is in these headers is between the client and a proxy
        return self._clients.authenticate(presented)

    def _limit(self, client: str, rate: float, environ: MutableMapping[str, Any]) -> None:
        if not rate:
            return
        verdict = self._rates.take(client, rate)
        add_header(environ, "RateLimit-Policy", verdict.policy)
        add_header(environ, "RateLimit", verdict.state)
        if not verdict.is_allowed:
            self._measurements.request_rate_limited(client)
            add_header(environ, "Retry-After", str(verdict.retry_after))
            raise TooManyRequests(f"more requests than agreed; try again in {verdict.retry_after} s")


def guard(app: Flask, access: Access) -> None:
    """Ask `access` about every request that an address exists for."""

    @app.before_request
    def admit() -> None:
        asked = request._get_current_object()  # type: ignore[attr-defined]  # a proxy looks again at each use
        rule = asked.url_rule
        if rule is not None:
            access.admit(rule.endpoint.partition(".")[0], asked.environ)
