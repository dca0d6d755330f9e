"""Write the dashboards' JSON: `python -m observability.grafana.build`; `--check` only looks whether it is current."""

import json
import sys
from pathlib import Path

from observability.grafana.drift import drift
from observability.grafana.nights import nights
from observability.grafana.panels import Json
from observability.grafana.quotes import quotes

FOLDER = Path(__file__).parent / "dashboards"


def files() -> dict[Path, str]:
    """The files and what they have to contain."""
    dashboards: dict[str, Json] = {"drift": drift(), "quotes": quotes(), "nights": nights()}
    return {
        FOLDER / f"{name}.json": json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"
        for name, dashboard in dashboards.items()
    }


def main(arguments: list[str]) -> int:
    """Write or check; 1 where a file is not what it should be."""
    stale = [path for path, content in files().items() if not path.exists() or path.read_text() != content]
    if arguments == ["--check"]:
        sys.stdout.writelines(f"not current: {path.name}\n" for path in stale)
        return 1 if stale else 0
    for path in stale:
        path.write_text(files()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
