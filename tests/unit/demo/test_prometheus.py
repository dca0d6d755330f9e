"""The demo's own Prometheus, as far as it can be seen without one."""

import json
from pathlib import Path

from motorisk.demo.prometheus import LocalPrometheus
from motorisk.ports import authority
from motorisk.settings import Settings


def test_a_quote_service_on_ipv6_is_an_address_that_prometheus_reads(tmp_path: Path) -> None:
    assert authority("127.0.0.1", 8000) == "127.0.0.1:8000"
    LocalPrometheus(Settings(home=tmp_path, quote_host="::1", quote_admin_port=9000)).component()
    targets = tmp_path / "prometheus" / "configuration" / "targets" / "quotes.yml"
    assert json.loads(targets.read_text()) == [{"targets": ["[::1]:9000"]}]
