"""Write .env for docker-compose.yaml: what .env.example says, and new passwords where it says nothing.

    python scripts/make_env.py [FILE]

What stands in the file already stays as it is; names that came to .env.example since are added at its end.
"""

import base64
import re
import secrets
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / ".env.example"
NAME = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$")


def secret(name: str) -> str:
    """A new secret; letters that mean the same in addresses, shells and compose files."""
    if name == "AIRFLOW_FERNET_KEY":  # its form is fixed: 32 bytes in base64
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(32 if name.endswith(("_SECRET", "_KEY")) else 16)


def filled(example: str, known: set[str]) -> list[str]:
    """The example's lines without the names that are known; names without a value get a secret."""
    lines = []
    for line in example.splitlines():
        found = NAME.match(line)
        if found is None:
            lines.append(line)
        elif found[1] not in known:
            lines.append(line if found[2] else f"{found[1]}={secret(found[1])}")
    return lines


def main(file: Path) -> str:
    """Write or complete the file; returns what was done."""
    example = EXAMPLE.read_text()
    if not file.exists():
        file.touch(mode=0o600, exist_ok=False)
        file.write_text("\n".join(filled(example, set())) + "\n")
        return f"{file} written, with new passwords"
    known = {found[1] for line in file.read_text().splitlines() if (found := NAME.match(line))}
    added = [line for line in filled(example, known) if NAME.match(line)]
    if not added:
        return f"{file} is there and complete"
    content = file.read_text()
    with file.open("a") as old:
        old.write("\n" * (not content.endswith("\n")) + "\n".join(added) + "\n")
    return f"{file} is there; added: {', '.join(line.partition('=')[0] for line in added)}"


if __name__ == "__main__":
    print(main(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE.with_name(".env")))
