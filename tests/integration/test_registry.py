"""Versions, their states, their champion and their audit trail."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.exc import IntegrityError
from tests.integration.plans import make_plan

from motorisk.domain.gate import GateResult
from motorisk.domain.risk import RiskClass
from motorisk.errors import GateFailed, NoChampion, NoTariff, PlanRefused, TransitionRefused, UnknownVersion
from motorisk.registry import transitions
from motorisk.registry.events import history
from motorisk.registry.tariffs import in_force, tariffs
from motorisk.registry.versions import (
    ModelVersion,
    all_versions,
    champion,
    ever_approved,
    find_champion,
    get,
    load_plan,
    register,
)
from motorisk.warehouse.tables import model_version

PASSED = GateResult(name="accuracy", value=0.9, rule=">=", threshold=0.85, passed=True)
MISSED = GateResult(name="accuracy", value=0.7, rule=">=", threshold=0.85, passed=False)


def add(
    warehouse: Engine, intercept: float = 2.0, *, as_of: date = date(2024, 1, 31), gate: GateResult = PASSED
) -> ModelVersion:
    with warehouse.begin() as connection:
        return register(
            connection,
            make_plan(intercept, as_of),
            rows=1500,
            metrics={"accuracy": gate["value"]},
            gates=[gate],
            parameters={"knots": 10},
            provenance={},
            trained_by="tess",
        )


def validated(warehouse: Engine, intercept: float = 2.0, *, as_of: date = date(2024, 1, 31)) -> int:
    version = add(warehouse, intercept, as_of=as_of).version
    with warehouse.begin() as connection:
        transitions.validate(connection, version, by="tess")
    return version


def approve(warehouse: Engine, version: int, by: str = "uma") -> ModelVersion:
    with warehouse.begin() as connection:
        return transitions.approve(connection, version, by=by)


def states(warehouse: Engine) -> dict[int, str]:
    with warehouse.connect() as connection:
        return {version.version: version.state for version in all_versions(connection)}


def events(warehouse: Engine, version: int) -> list[tuple[str, str]]:
    with warehouse.connect() as connection:
        return [(event.event, event.actor) for event in history(connection, version)]


def test_registering_the_same_plan_again_gives_the_same_version(warehouse: Engine) -> None:
    first, second, other = add(warehouse), add(warehouse), add(warehouse, 2.5)
    assert second == first
    assert other.version != first.version
    assert first.state == "candidate"
    assert events(warehouse, first.version) == [("registered", "tess")]


def test_a_loaded_plan_is_the_registered_one(warehouse: Engine) -> None:
    version = add(warehouse).version
    with warehouse.connect() as connection:
        assert load_plan(connection, version) == make_plan()


@pytest.mark.fault("corrupted rating plan")
def test_a_plan_changed_in_the_database_is_refused_at_every_load_and_cannot_be_approved(warehouse: Engine) -> None:
    version = validated(warehouse)
    with warehouse.begin() as connection:
        plan = connection.scalar(select(model_version.c.plan))
        assert plan is not None
        connection.execute(update(model_version).values(plan=plan.replace('"spread":0.4', '"spread":0.1')))
    with pytest.raises(PlanRefused, match="changed after training"), warehouse.connect() as connection:
        load_plan(connection, version)
    with pytest.raises(PlanRefused):
        approve(warehouse, version)
    assert states(warehouse) == {version: "validated"}


def test_a_version_that_missed_a_gate_is_rejected_and_the_message_names_figure_and_bound(warehouse: Engine) -> None:
    version = add(warehouse, gate=MISSED).version
    with warehouse.begin() as connection:
        found = transitions.validate(connection, version, by="airflow")
    assert found.state == "rejected"
    with pytest.raises(GateFailed, match=r"accuracy is 0\.7, must be >= 0\.85"):
        transitions.require_validated(found)
    with pytest.raises(TransitionRefused, match="only a validated one can be approved"):
        approve(warehouse, version)


def test_an_unvalidated_candidate_cannot_be_approved(warehouse: Engine) -> None:
    with pytest.raises(TransitionRefused, match="is candidate"):
        approve(warehouse, add(warehouse).version)


def test_who_trained_a_version_cannot_approve_it(warehouse: Engine) -> None:
    version = validated(warehouse)
    for name in ("tess", " Tess ", "TESS"):
        with pytest.raises(TransitionRefused, match="somebody else has to approve"):
            approve(warehouse, version, by=name)
    with pytest.raises(TransitionRefused, match="must be named"):
        approve(warehouse, version, by="  ")
    assert states(warehouse) == {version: "validated"}


def test_approving_retires_the_former_champion(warehouse: Engine) -> None:
    first, second = validated(warehouse), validated(warehouse, 2.5)
    assert approve(warehouse, first).approved_by == "uma"
    approve(warehouse, second)
    assert states(warehouse) == {first: "retired", second: "approved"}
    assert events(warehouse, first) == [
        ("registered", "tess"),
        ("validated", "tess"),
        ("approved", "uma"),
        ("retired", "uma"),
    ]
    with warehouse.connect() as connection:
        assert champion(connection).version == second


def test_approving_the_champion_again_changes_nothing(warehouse: Engine) -> None:
    version = validated(warehouse)
    first = approve(warehouse, version)
    assert approve(warehouse, version, by="ursula") == first


@pytest.mark.fault("two at once")
def test_two_approvals_at_once_leave_one_champion(warehouse: Engine) -> None:
    versions = [validated(warehouse, 2.0 + number / 10) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda version: approve(warehouse, version), versions))
    assert sorted(states(warehouse).values()) == ["approved", "retired", "retired", "retired"]


def test_the_database_itself_allows_one_champion(warehouse: Engine) -> None:
    first, second = validated(warehouse), validated(warehouse, 2.5)
    approve(warehouse, first)
    with pytest.raises(IntegrityError, match="one_champion"), warehouse.begin() as connection:
        connection.execute(
            text(
                "UPDATE motorisk.model_version SET state = 'approved', approved_by = 'x', approved_at = now() "
                "WHERE version = :version"
            ),
            {"version": second},
        )


def test_rollback_goes_back_one_champion_at_a_time(warehouse: Engine) -> None:
    first, second, third = (validated(warehouse, 2.0 + number / 10) for number in range(3))
    for version in (first, second, third):
        approve(warehouse, version)
    for expected in (second, first):
        with warehouse.begin() as connection:
            assert transitions.rollback(connection, by="uma", comment="too dear").version == expected
    assert states(warehouse) == {first: "approved", second: "retired", third: "retired"}
    with pytest.raises(TransitionRefused, match="first champion"), warehouse.begin() as connection:
        transitions.rollback(connection, by="uma")
    assert events(warehouse, third)[-1] == ("rolled back", "uma")
    assert events(warehouse, second)[-2:] == [("reinstated", "uma"), ("rolled back", "uma")]


def test_a_version_that_was_rolled_back_can_be_approved_again(warehouse: Engine) -> None:
    first, second = validated(warehouse), validated(warehouse, 2.5)
    approve(warehouse, first)
    approve(warehouse, second)
    with warehouse.begin() as connection:
        transitions.rollback(connection, by="uma")
    assert approve(warehouse, second).state == "approved"
    with warehouse.begin() as connection:
        assert transitions.rollback(connection, by="uma").version == first


def test_rejecting_is_final_and_the_champion_cannot_be_rejected(warehouse: Engine) -> None:
    first, second = validated(warehouse), validated(warehouse, 2.5)
    approve(warehouse, first)
    with warehouse.begin() as connection:
        assert transitions.reject(connection, second, by="uma", comment="odd").state == "rejected"
        assert transitions.reject(connection, second, by="uma").state == "rejected"
    with pytest.raises(TransitionRefused):
        approve(warehouse, second)
    with pytest.raises(TransitionRefused, match="rollback"), warehouse.begin() as connection:
        transitions.reject(connection, first, by="uma")


def test_automatic_approval_follows_the_gates_but_never_turns_back_the_clock(warehouse: Engine) -> None:
    newer, older = validated(warehouse, as_of=date(2024, 6, 30)), validated(warehouse, 2.5, as_of=date(2024, 1, 31))
    candidate = add(warehouse, 3.0, as_of=date(2024, 7, 31)).version
    with warehouse.begin() as connection:
        assert transitions.approve_automatically(connection, newer).approved
        assert transitions.approve_automatically(connection, newer).approved
        assert not transitions.approve_automatically(connection, candidate).approved
        decision = transitions.approve_automatically(connection, older)
    assert not decision.approved
    assert "before the champion's 2024-06-30" in decision.reason
    assert states(warehouse) == {newer: "approved", older: "validated", candidate: "candidate"}


def test_what_a_person_rolled_back_does_not_come_back_by_itself(warehouse: Engine) -> None:
    first, second = validated(warehouse), validated(warehouse, 2.5, as_of=date(2024, 2, 29))
    approve(warehouse, first)
    approve(warehouse, second)
    with warehouse.begin() as connection:
        transitions.rollback(connection, by="uma")
        assert not transitions.approve_automatically(connection, second).approved
    assert states(warehouse) == {first: "approved", second: "retired"}


@pytest.mark.fault("no champion")
def test_unknown_versions_and_a_missing_champion_are_named(warehouse: Engine) -> None:
    with warehouse.connect() as connection:
        with pytest.raises(UnknownVersion, match="version 17"):
            get(connection, 17)
        with pytest.raises(UnknownVersion):
            load_plan(connection, 17)
        with pytest.raises(NoChampion, match="motorisk train"):
            champion(connection)
        assert find_champion(connection) is None
        with pytest.raises(TransitionRefused, match="no champion"):
            transitions.rollback(connection, by="uma")


def test_the_tariff_in_force_is_the_newest_that_has_begun(warehouse: Engine) -> None:
    with warehouse.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO motorisk.tariff (name, valid_from, base_premium, factor_low, factor_medium, factor_high, "
                "tax_rate) VALUES ('dearer', '2025-01-01', 700, 0.7, 1, 1.6, 0.19)"
            )
        )
        known = tariffs(connection)
    assert in_force(known, date(2024, 12, 31)).name == "standard"
    assert in_force(known, date(2025, 1, 1)).name == "dearer"
    assert in_force(known, date(2025, 1, 1)).factors[RiskClass.HIGH] * 10 == 16
    with pytest.raises(NoTariff, match="1999-12-31"):
        in_force(known, date(1999, 12, 31))


def test_a_version_keeps_its_evaluation(warehouse: Engine) -> None:
    assert add(warehouse).evaluation == {}
    facts = {"champion": None, "still": ["power"], "calibration": [{"stated": 0.1, "came_true": 0.09}]}
    with warehouse.begin() as connection:
        registered = register(
            connection,
            make_plan(3.0),
            rows=1500,
            metrics={},
            gates=[PASSED],
            evaluation=facts,
            parameters={},
            provenance={},
            trained_by="tess",
        )
    with warehouse.connect() as connection:
        assert get(connection, registered.version).evaluation == registered.evaluation == facts


def test_the_audit_trail_keeps_comments_and_what_followed(warehouse: Engine) -> None:
    first, second, third = (validated(warehouse, intercept) for intercept in (1.0, 1.5, 2.0))
    approve(warehouse, first)
    approve(warehouse, second)
    with warehouse.begin() as connection:
        transitions.rollback(connection, by="uma", comment="too dear")
        transitions.reject(connection, third, by="uma", comment="no better")
        told = {
            (event.version, event.event): (event.comment, event.details)
            for version in (first, second, third)
            for event in history(connection, version)
        }
    assert told[first, "retired"] == (None, {"successor": second})
    assert told[second, "rolled back"] == ("too dear", {"successor": first})
    assert told[first, "reinstated"] == ("too dear", {"after": second})
    assert told[third, "rejected"][0] == "no better"


def test_what_cannot_be_rejected_says_no_more_than_it_knows(warehouse: Engine) -> None:
    first, second = (validated(warehouse, intercept) for intercept in (1.0, 1.5))
    approve(warehouse, first)
    approve(warehouse, second)
    with warehouse.begin() as connection, pytest.raises(TransitionRefused) as refusal:
        transitions.reject(connection, first, by="uma")
    assert str(refusal.value) == f"version {first} is retired and cannot be rejected"


def test_nobody_decides_without_a_name(warehouse: Engine) -> None:
    version = validated(warehouse)
    with warehouse.begin() as connection, pytest.raises(TransitionRefused) as refusal:
        transitions.approve(connection, version, by="  ")
    assert str(refusal.value) == "who decides must be named"


def test_a_rejected_plan_that_is_trained_again_is_another_version(warehouse: Engine) -> None:
    first = validated(warehouse)
    with warehouse.begin() as connection:
        transitions.reject(connection, first, by="uma")
    assert add(warehouse).version != first
    assert states(warehouse)[first] == "rejected"


def test_a_version_keeps_its_backtest(warehouse: Engine) -> None:
    row = {"candidate": "gam", "log_loss": 0.25}
    facts = {"rows": 1, "metrics": {}, "gates": [], "parameters": {}, "provenance": {}, "trained_by": "tess"}
    with warehouse.begin() as connection:
        made = register(connection, make_plan(), backtest=[row], **facts)
        assert get(connection, made.version).backtest == (row,)


def test_ever_approved_are_the_champion_and_its_predecessors_by_what_they_know(warehouse: Engine) -> None:
    later, earlier, offered = (validated(warehouse, as_of=date(2024, month, 28)) for month in (3, 1, 2))
    approve(warehouse, later)
    approve(warehouse, earlier)
    with warehouse.connect() as connection:
        assert [found.version for found in ever_approved(connection)] == [earlier, later]
    assert states(warehouse)[offered] == "validated"
