"""Only the page's own form makes quotes: another site must not be able to send it from a visitor's browser.

The form carries the value of a cookie that browsers send along with requests of this site alone (SameSite=Strict).
Nobody logs in, so that the value says nothing about anybody; it needs no secret that workers would have to share.
"""

import re
import secrets
from http import HTTPStatus

from flask import Request, Response

from motorisk.errors import MotoriskError

COOKIE = "motorisk_page"
FIELD = "token"
HEADER = "X-Page-Token"

_WELL_FORMED = re.compile("[A-Za-z0-9_-]{22}")
# Sent by browsers to trustworthy addresses (https, localhost) alone; `none`: somebody typed the address.
_OWN_SITES = (None, "same-origin", "none")


class ForeignRequest(MotoriskError):
    """The request did not come from the page."""

    status = HTTPStatus.FORBIDDEN
    title = "Not from this page"


def token(request: Request) -> str:
    """The visitor's token: the cookie's, so that several tabs agree, or a new one."""
    known = request.cookies.get(COOKIE, "")
    return known if _WELL_FORMED.fullmatch(known) else secrets.token_urlsafe(16)


def remember(response: Response, value: str, *, path: str, is_secure: bool) -> None:
    """Give the visitor's browser the token, until it is closed."""
    response.set_cookie(COOKIE, value, path=path, secure=is_secure, httponly=True, samesite="Strict")


def is_own(request: Request, sent: str | None) -> bool:
    """Whether the page sent a request: it repeats the cookie's value."""
    known = request.cookies.get(COOKIE, "")
    if not sent or not _WELL_FORMED.fullmatch(known) or request.headers.get("Sec-Fetch-Site") not in _OWN_SITES:
        return False
    return secrets.compare_digest(known.encode(), sent.encode())
