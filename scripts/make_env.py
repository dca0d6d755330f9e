"""Write .env for docker-compose.yaml: what .env.example says, and new passwords where it says nothing.

    python scripts/make_env.py [FILE]

What stands in the file already stays as it is, but for passwords that are missing behind their names, as in a copy of
.env.example; names that came to .env.example since are added at its end.
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


def filled(line: str, secrets_of: set[str]) -> str:
    """A line, with a new secret where it names one and gives no value."""
    found = NAME.match(line)
    if found is None or found[2].strip() or found[1] not in secrets_of:
        return line
    return f"{found[1]}={secret(found[1])}"


def write(file: Path, lines: list[str]) -> None:
    """Write the file for its owner alone, whole or not at all: nobody else knows the passwords that were in it."""
    new = file.with_name(f"{file.name}.new")
    new.touch(mode=0o600)
    new.write_text("\n".join(lines) + "\n")
    new.replace(file)


def main(file: Path) -> str:
    """Write or complete the file; returns what was done."""
    example = EXAMPLE.read_text().splitlines()
    names = [found for line in example if (found := NAME.match(line))]
    secrets_of = {found[1] for found in names if not found[2]}
    if not file.exists():
        write(file, [filled(line, secrets_of) for line in example])
        return f"{file} written, with new passwords"
    before = file.read_text().splitlines()
    known = {found[1] for line in before if (found := NAME.match(line))}
    missing = [found[0] for found in names if found[1] not in known]
    after = [filled(line, secrets_of) for line in (*before, *missing)]
    if after == before:
        return f"{file} is there and complete"
    write(file, after)
    added = [line.partition("=")[0] for line in after if line not in before]
    return f"{file} is there; added: {', '.join(added)}"


if __name__ == "__main__":
    print(main(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE.with_name(".env")))
