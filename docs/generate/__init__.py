"""Reference pages that are made from the code when the site is built, so that they cannot lie."""

from pathlib import Path

from generate import commands, http, metrics, settings, tables

PAGES = {
    "settings": settings.page,
    "commands": commands.page,
    "http": http.page,
    "metrics": metrics.page,
    "tables": tables.page,
}


def write_reference(folder: Path) -> None:
    """Write the pages into a folder; one that is as it was keeps its time, so that it is not built again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        file, text = folder / f"{name}.md", page()
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
