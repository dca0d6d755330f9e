"""The reference names every metric that a service tells."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_names_every_metric_of_a_scrape(
    warehouse: Engine, approve: Any, start_app: Any, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    metrics = importlib.import_module("generate.metrics")
    approve(warehouse)
    client = start_app()
    assert client.post("/v1/quotes", json=body).status_code == 201
    scraped = text_string_to_metric_families(client.get("/metrics/").text)
    families = [family for family in scraped if not family.name.endswith("_created")]
    told = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    assert len(told) > 20
    assert told <= metrics.names()
