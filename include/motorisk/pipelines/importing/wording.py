"""How an import file's text is kept in quarantine and quoted in reasons."""

_LONGEST_SHOWN = 60


def storable(text: str) -> str:
    r"""The text with undecodable bytes and NULs, which Postgres cannot store, written as `\xff` and `\x00`.

    Undecodable bytes are those that `errors="surrogateescape"` let through.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\0", r"\x00")


def shown(text: str) -> str:
    """The text as a reason quotes it: on one line, and not too long."""
    text = text if text.isprintable() and text == text.strip() else repr(storable(text))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
