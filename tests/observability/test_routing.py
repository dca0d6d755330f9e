"""What a real Alertmanager does with alerts: one a cause."""

from typing import Any

import httpx
import pytest

DRIFT = {"area": "drift", "severity": "ticket", "kind": "quotes", "window": "1500"}
QUOTES = {"area": "quotes", "job": "motorisk-quotes"}


def _named(name: str, labels: dict[str, str], **more: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, **labels, **more}}


def _told(alertmanager: str, alerts: list[dict[str, Any]]) -> set[str]:
    """The names of the alerts that people are told of."""
    httpx.post(f"{alertmanager}/api/v2/alerts", json=alerts).raise_for_status()
    asked = {"inhibited": "false"}
    # Groups: what is inhibited is known at once, without waiting for a notification.
    groups = httpx.get(f"{alertmanager}/api/v2/alerts/groups", params=asked).json()
    return {alert["labels"]["alertname"] for group in groups for alert in group["alerts"]}


@pytest.mark.parametrize(
    ("alerts", "told"),
    [
        (
            [
                _named("DatasetDrift", DRIFT),
                *(_named("FeatureDrift", DRIFT, feature=name) for name in ("age", "miles")),
            ],
            {"DatasetDrift"},
        ),
        (
            [_named("DatasetDrift", DRIFT), _named("FeatureDrift", {**DRIFT, "kind": "policies"}, feature="age")],
            {"DatasetDrift", "FeatureDrift"},
        ),
        (
            [_named("QuoteServiceDown", QUOTES, severity="page"), _named("QuotesSlow", QUOTES, severity="page")],
            {"QuoteServiceDown"},
        ),
        (
            [_named("QuoteErrors", QUOTES, severity="page"), _named("QuoteErrors", QUOTES, severity="ticket")],
            {"QuoteErrors"},
        ),
        (
            [
                _named("DagFailed", {"area": "nights", "severity": "ticket", "dag_id": "score_portfolio"}),
                _named("NightFailed", {"area": "nights", "severity": "ticket", "dag_id": "score_portfolio"}),
                _named("NightLate", {"area": "nights", "severity": "ticket", "step": "score"}),
            ],
            {"DagFailed"},
        ),
    ],
)
def test_what_follows_from_a_known_cause_is_silent(
    alertmanager: str, alerts: list[dict[str, Any]], told: set[str]
) -> None:
    assert _told(alertmanager, alerts) == told


def test_instances_and_tasks_of_one_cause_are_one_group(alertmanager: str) -> None:
    slow = [_named("QuotesSlow", QUOTES, severity="page", instance=name) for name in ("a", "b", "c")]
    httpx.post(f"{alertmanager}/api/v2/alerts", json=slow).raise_for_status()
    (group,) = httpx.get(f"{alertmanager}/api/v2/alerts/groups").json()
    assert (group["receiver"]["name"], len(group["alerts"])) == ("on-call", 3)
