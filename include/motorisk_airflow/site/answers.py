"""Pages and notices as HTTP answers."""

from fastapi import Response

from motorisk.modelling.card.html import content_security_policy, frame_script, notice_page
from motorisk_airflow.pages import overview_page

HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


def page(content: str, status: int = 200, *, policy: str | None = None, media_type: str = "text/html") -> Response:
    """A page that only Airflow may frame; `policy` is its Content-Security-Policy, by default that of a framed card."""
    policy = f"{policy or content_security_policy(script=frame_script())}; frame-ancestors 'self'"
    return Response(content, status, {**HEADERS, "Content-Security-Policy": policy}, media_type)


def notice(status: int, title: str, sentence: str, link: tuple[str, str] | None = None) -> Response:
    """What went wrong, in a sentence, and where to go from there."""
    return page(notice_page(title, sentence, link or ("Motorisk", overview_page()), script=frame_script()), status)
