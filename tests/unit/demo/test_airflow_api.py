"""What the demo and `first-night` make of an Airflow that is away, refuses, or is another program."""

import pytest
from tests.answering import answering

from motorisk.demo.airflow import AirflowApi, AirflowAway
from motorisk.demo.waiting import wait_until
from motorisk.errors import ComponentFailed
from motorisk.ports import free_port

DAGS = b'{"dags": [{"dag_id": "train_model"}]}'


def test_an_airflow_that_is_started_again_is_waited_for() -> None:
    looks: list[None] = []
    with answering((None, b""), (503, b""), (200, b"starting"), (200, DAGS)) as address:
        api = AirflowApi(address, "admin", "secret")
        wait_until(lambda: api.dag_ids() == {"train_model"}, "no DAGs", 30, meanwhile=lambda: looks.append(None))
    assert len(looks) == 3


def test_who_waits_in_vain_is_told_why_airflow_does_not_answer() -> None:
    with answering((500, b"")) as address:
        api = AirflowApi(address, "admin", "secret")
        with pytest.raises(ComponentFailed) as failed:
            wait_until(lambda: bool(api.dag_ids()), "Airflow did not read the DAGs", 0, advice="; logs are there")
    assert str(failed.value) == (
        f"Airflow did not read the DAGs within 0 s (Airflow at {address} answers GET /api/v2/dags with "
        "500 Internal Server Error); logs are there"
    )


def test_what_airflow_refuses_is_not_waited_for() -> None:
    with answering((403, b"")) as address:
        api = AirflowApi(address, "uma", "secret")
        with pytest.raises(ComponentFailed, match="answers PATCH /api/v2/dags/train_model with 403") as refused:
            api.unpause("train_model")
        assert not isinstance(refused.value, AirflowAway)
        assert not api.is_healthy()


@pytest.mark.parametrize("address", ["localhost:8080", "http://127.0.0.1:eighty"])
def test_what_is_no_address_is_not_waited_for(address: str) -> None:
    with pytest.raises(ComponentFailed, match=address) as refused:
        AirflowApi(address, "admin", "secret").log_in()
    assert not isinstance(refused.value, AirflowAway)


def test_a_proxy_is_not_asked_for_what_runs_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")  # nobody listens
    with answering((200, DAGS)) as address:
        assert AirflowApi(address, "admin", "secret").dag_ids() == {"train_model"}
