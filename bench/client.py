"""A client that asks for quotes on many connections and remembers every answer."""

import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

BODY = json.dumps(
    {
        "driver": {"training": False, "age": 35, "miles": 45.9},
        "vehicle": {"emergency_braking": False, "braking_distance": 45.0, "power": 90.0},
    }
).encode()
RECONNECT_SECONDS = 0.02


@dataclass
class Answers:
    """What came back; `broken` counts connections that ended under a request (it is asked again)."""

    quotes: list[tuple[str | None, str, int, str, str]] = field(default_factory=list)
    """Idempotency key if any, quote id, version, gross premium, where recorded."""
    refused: list[str] = field(default_factory=list)
    broken: int = 0
    seconds: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """A percentile of the time to answer, in milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


class _Connection:
    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._api_key = key
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, key: str | None) -> tuple[int, Any]:
        """One request; `OSError` or `EOFError` where the connection ends."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        named = "" if key is None else f"Idempotency-Key: {key}\r\n"
        head = (
            f"POST /v1/quotes HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{named}"
            f"Authorization: Bearer {self._api_key}\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        self._writer.write(head.encode() + BODY)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in answer[1:] if line)}
        content = await self._reader.readexactly(int(headers["content-length"]))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(answer[0].split()[1]), json.loads(content)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _ask_on(port: int, api_key: str, until: float, answers: Answers, *, is_keyed: bool) -> None:
    connection = _Connection(port, api_key)
    while time.monotonic() < until:
        key = str(uuid.uuid4()) if is_keyed else None
        start = time.monotonic()
        while True:
            try:
                status, document = await connection.ask(key)
                break
            except (OSError, EOFError):
                answers.broken += 1
                connection.close()
                if time.monotonic() > until + 30:
                    answers.refused.append("no answer at all")
                    return
                await asyncio.sleep(RECONNECT_SECONDS)
        answers.seconds.append(time.monotonic() - start)
        if status == 201:
            gross = document["premium"]["gross"]
            answers.quotes.append((key, document["quote_id"], document["model_version"], gross, document["recorded"]))
        else:
            answers.refused.append(f"{status} {document.get('title')}")
    connection.close()


async def load(port: int, api_key: str, *, connections: int, seconds: float) -> Answers:
    """Ask on so many connections for so long, on every second one with idempotency keys.

    A broken request is asked again: with its key, or as a new one.
    """
    answers = Answers()
    until = time.monotonic() + seconds
    await asyncio.gather(
        *(_ask_on(port, api_key, until, answers, is_keyed=number % 2 == 0) for number in range(connections))
    )
    return answers
