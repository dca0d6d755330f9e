"""What `helm test` asks: is the service ready, does it refuse strangers, and does a client get a quote."""

import json
import os
import sys
import urllib.error
import urllib.request

QUESTION = {
    "driver": {"training": False, "age": 35, "miles": 45.9},
    "vehicle": {"emergency_braking": False, "braking_distance": 45.0, "power": 90.0},
}


def ask(url: str, body: object = None, key: str = "") -> tuple[int, dict[str, object]]:
    """Ask, and answer status and JSON, whatever the status is."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - addresses of the chart's own Services
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError as error:
        sys.exit(f"{url}: {error}")


def main() -> None:
    """Ask everything; the first wrong answer ends the test."""
    quotes, key = os.environ["QUOTES_URL"] + "/v1/quotes", os.environ.get("API_KEY", "")
    status, answer = ask(os.environ["ADMIN_URL"] + "/readyz")
    print(f"/readyz: {status} {answer}", flush=True)
    if status != 200:
        sys.exit("the quote service is not ready")
    status, answer = ask(quotes, QUESTION)
    print(f"/v1/quotes without a key: {status}", flush=True)
    if status not in (201, 401):
        sys.exit(f"a quote without a key is neither answered nor refused: {answer}")
    if key:
        status, answer = ask(quotes, QUESTION, key)
        print(f"/v1/quotes: {status} {answer}", flush=True)
        if status != 201:
            sys.exit("no quote for a client with a key")


main()
