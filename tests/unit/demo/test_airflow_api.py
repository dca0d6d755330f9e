"""What the demo and `first-night` make of an Airflow that is away, refuses, or is another program."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from motorisk.demo.airflow import AirflowApi, AirflowAway
from motorisk.demo.waiting import wait_until
from motorisk.errors import ComponentFailed
from motorisk.ports import free_port

DAGS = b'{"dags": [{"dag_id": "train_model"}]}'
Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that gives these answers, a status and a body each, one after the other, the last for ever.

    Without a status the connection ends.
    """
    servers: list[HTTPServer] = []

    def start(*answers: tuple[int | None, bytes]) -> str:
        left = list(answers)

        class Airflow(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = left.pop(0) if len(left) > 1 else left[0]
                if status is None:
                    return
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            do_PATCH = do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Nothing."""

        servers.append(HTTPServer(("127.0.0.1", 0), Airflow))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_airflow_that_is_started_again_is_waited_for(serve: Serve) -> None:
    api = AirflowApi(serve((None, b""), (503, b""), (200, b"starting"), (200, DAGS)), "admin", "secret")
    looks: list[None] = []
    wait_until(lambda: api.dag_ids() == {"train_model"}, "no DAGs", 30, meanwhile=lambda: looks.append(None))
    assert len(looks) == 3


def test_who_waits_in_vain_is_told_why_airflow_does_not_answer(serve: Serve) -> None:
    api = AirflowApi(serve((500, b"")), "admin", "secret")
    with pytest.raises(ComponentFailed) as failed:
        wait_until(lambda: bool(api.dag_ids()), "Airflow did not read the DAGs", 0, advice="; logs are there")
    assert str(failed.value) == (
        f"Airflow did not read the DAGs within 0 s (Airflow at {api.url} answers GET /api/v2/dags with "
        "500 Internal Server Error); logs are there"
    )


def test_what_airflow_refuses_is_not_waited_for(serve: Serve) -> None:
    api = AirflowApi(serve((403, b"")), "uma", "secret")
    with pytest.raises(ComponentFailed, match="answers PATCH /api/v2/dags/train_model with 403 Forbidden") as refused:
        api.unpause("train_model")
    assert not isinstance(refused.value, AirflowAway)
    assert not api.is_healthy()


@pytest.mark.parametrize("address", ["localhost:8080", "http://127.0.0.1:eighty"])
def test_what_is_no_address_is_not_waited_for(address: str) -> None:
    with pytest.raises(ComponentFailed, match=address) as refused:
        AirflowApi(address, "admin", "secret").log_in()
    assert not isinstance(refused.value, AirflowAway)


def test_a_proxy_is_not_asked_for_what_runs_on_this_machine(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")  # nobody listens
    assert AirflowApi(serve((200, DAGS)), "admin", "secret").dag_ids() == {"train_model"}
