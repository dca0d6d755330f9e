"""Which language a client reads."""

from functools import lru_cache

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from motorisk.quoting.wording import LANGUAGES, Language


def requested_language(accept_language: str | None) -> Language:
    """The preferred one of our languages, by an Accept-Language header; English where it prefers none."""
    return "en" if accept_language is None else _best(accept_language)


@lru_cache(maxsize=256)
def _best(wanted: str) -> Language:
    for name, quality in parse_accept_header(wanted, LanguageAccept):  # the most wanted first
        for language in LANGUAGES:
            if quality > 0 and name.lower().split("-")[0] == language:
                return language
    return "en"
