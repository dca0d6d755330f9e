"""Headers that every answer carries."""

from flask import Flask, Response

# An API's answers load nothing; the pages for people set their own policy.
DEFAULT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def secure_answers(app: Flask) -> None:
    """Add the headers that an answer has not set itself."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        if getattr(response, "carries_security_headers", False):
            return response
        for name, value in DEFAULT_HEADERS.items():
            response.headers.setdefault(name, value)
        return response
