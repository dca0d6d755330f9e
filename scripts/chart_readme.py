"""Write the table of values into the chart's README, from the `# --` comments in values.yaml, as helm-docs would.

    python scripts/chart_readme.py [--check]     --check: change nothing; exit 1 where the table is not up to date

A value without a comment is an error.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

CHART = Path(__file__).parent.parent / "helm" / "motorisk"
BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"
TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "seq": "list", "map": "object"}


class Value(NamedTuple):
    """One value as the table has it."""

    name: str
    kind: str
    default: str
    meaning: str


def values(text: str) -> Iterator[Value]:
    """All values of a values.yaml in their order; `ValueError` naming the first without a comment."""
    root = yaml.compose(text, yaml.SafeLoader)
    lines = text.splitlines()
    yield from _of_mapping(root, lines, ())


def _of_mapping(mapping: yaml.MappingNode, lines: list[str], path: tuple[str, ...]) -> Iterator[Value]:
    for key, node in mapping.value:
        here = (*path, key.value)
        above = lines[key.start_mark.line - 1].strip()
        if above.startswith("# -- "):
            content = yaml.SafeLoader("").construct_document(node)
            kind = TYPES.get(node.tag.rpartition(":")[2], "any")
            yield Value(".".join(here), kind, json.dumps(content), above.removeprefix("# -- "))
        elif isinstance(node, yaml.MappingNode) and node.value:
            yield from _of_mapping(node, lines, here)
        else:
            raise ValueError(f"values.yaml, line {key.start_mark.line + 1}: {'.'.join(here)} has no `# --` comment")


def table(found: list[Value]) -> str:
    """The values as a Markdown table."""
    rows = [f"| `{each.name}` | {each.kind} | `{each.default}` | {each.meaning} |" for each in found]
    return "\n".join(["| value | type | default | meaning |", "|---|---|---|---|", *rows])


def main() -> None:
    """Write the table, or check it."""
    readme = CHART / "README.md"
    text = readme.read_text(encoding="utf-8")
    try:
        found = list(values((CHART / "values.yaml").read_text(encoding="utf-8")))
    except ValueError as error:
        sys.exit(str(error))
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = f"{before}{BEGIN}\n{table(found)}\n{END}{after}"
    if "--check" in sys.argv[1:]:
        if wanted != text:
            sys.exit("helm/motorisk/README.md does not have the values of values.yaml: run `make helm-docs`")
        return
    readme.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
