"""Whatever people do with versions, in any order: one champion at most, four eyes, and a history that tells it all.

Hypothesis trains, validates, approves, rejects, rolls back and shadows in orders that nobody would think of, on a real
Postgres; beside it, `told` follows nothing but the audit trail.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, Engine, select
from tests.integration.plans import make_plan

from motorisk.domain.gate import GateResult
from motorisk.domain.rating_plan import plan_digest
from motorisk.errors import TransitionRefused
from motorisk.registry import shadows, transitions
from motorisk.registry.events import ModelEvent, history
from motorisk.registry.versions import ModelVersion, all_versions, find_champion, get, load_plan, register
from motorisk.warehouse.tables import model_event

PEOPLE = ("tess", "uma", "Uma ", "ursula")
INTERCEPTS = (1.0, 1.5, 2.0)
AS_OF = (date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31))
people = st.sampled_from(PEOPLE)
comments = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@dataclass
class Told:
    """What an auditor concludes from the audit trail alone, and from nothing else."""

    states: dict[int, str] = field(default_factory=dict)
    approvals: list[int] = field(default_factory=list)
    """Champions that a rollback can go back to, the present one last."""
    trained_by: dict[int, str] = field(default_factory=dict)
    shadowed: set[int] = field(default_factory=set)

    def hear(self, event: ModelEvent) -> None:
        """Follow one event; a story that cannot have happened fails."""
        version, before = event.version, self.states.get(event.version)
        match event.event:
            case "registered":
                assert before is None
                self.states[version], self.trained_by[version] = "candidate", event.actor
            case "validated":
                assert before == "candidate"
                self.states[version] = "validated"
            case "rejected":
                assert before in {"candidate", "validated"}
                self.states[version] = "rejected"
            case "retired":
                assert before == "approved"
                self.states[version] = "retired"
            case "approved":
                assert before in {"validated", "retired"}
                assert "approved" not in self.states.values()
                assert event.actor.casefold() != self.trained_by[version].casefold()
                self.states[version] = "approved"
                self.approvals = [*(known for known in self.approvals if known != version), version]
            case "rolled back":
                assert before == "approved"
                self.states[version] = "retired"
                self.approvals = self.approvals[: self.approvals.index(version)]
                assert event.details["successor"] == self.approvals[-1]
            case "reinstated":
                assert before == "retired"
                assert "approved" not in self.states.values()
                self.states[version] = "approved"
            case "shadow started":
                assert before == "validated"
                self.shadowed.add(version)
            case "shadow stopped":
                self.shadowed.remove(version)
            case other:
                raise AssertionError(f"nobody knows the event {other}")


class Registry(RuleBasedStateMachine):
    """Each run is one transaction that is taken back at its end; each step a savepoint."""

    engine: Engine
    versions = Bundle("versions")

    def __init__(self) -> None:
        super().__init__()
        self.connection = self.engine.connect()
        self.transaction = self.connection.begin()
        self.told = Told()
        self.heard = 0

    def teardown(self) -> None:
        self.transaction.rollback()
        self.connection.close()

    def step(self, change: Callable[..., Any], *arguments: Any, **how: Any) -> Any:
        """Do something, or be refused with a reason and without a trace."""
        before = self.stored()
        with suppress(TransitionRefused), self.connection.begin_nested():
            return change(self.connection, *arguments, **how)
        assert self.stored() == before
        return None

    def stored(self) -> tuple[list[ModelVersion], int]:
        events = self.connection.scalars(select(model_event.c.model_event_id)).all()
        return all_versions(self.connection), len(events)

    @rule(
        target=versions,
        intercept=st.sampled_from(INTERCEPTS),
        as_of=st.sampled_from(AS_OF),
        passed=st.sampled_from([True, True, True, False]),
        by=people.map(str.strip),
    )
    def train(self, intercept: float, as_of: date, passed: bool, by: str) -> int:
        plan = make_plan(intercept, as_of)
        known = [one for one in all_versions(self.connection) if one.digest == plan_digest(plan.to_json())]
        gate = GateResult(name="accuracy", value=0.9, rule=">=", threshold=0.85, passed=passed)
        found: ModelVersion = self.step(
            register,
            plan,
            rows=1500,
            metrics={"accuracy": 0.9},
            gates=[gate],
            parameters={},
            provenance={},
            trained_by=by,
        )
        # The same model again is the same version, unless it was turned down.
        assert (found in known) == any(one.state != "rejected" for one in known)
        return found.version

    @rule(version=versions, by=people)
    def validate(self, version: int, by: str) -> None:
        before = get(self.connection, version)
        found = self.step(transitions.validate, version, by=by.strip())
        if before.state == "candidate":
            assert found.state == ("rejected" if found.failed_gates else "validated")
        else:
            assert found == before

    @rule(version=versions, by=people, comment=comments)
    def approve(self, version: int, by: str, comment: str | None) -> None:
        before = get(self.connection, version)
        found = self.step(transitions.approve, version, by=by, comment=comment)
        is_own = by.strip().casefold() == before.trained_by.casefold()
        if before.state == "approved":
            assert found == before
        elif before.state in {"validated", "retired"} and not is_own:
            assert (found.state, found.approved_by) == ("approved", by.strip())
            assert history(self.connection, version)[-1].event in {"approved", "shadow stopped"}
        else:
            assert found is None

    @rule(version=versions)
    def approve_automatically(self, version: int) -> None:
        before, champion = get(self.connection, version), find_champion(self.connection)
        decision = self.step(transitions.approve_automatically, version)
        is_older = champion is not None and before.as_of < champion.as_of
        assert decision.approved == (before.state == "approved" or (before.state == "validated" and not is_older))

    @rule(version=versions, by=people, comment=comments)
    def reject(self, version: int, by: str, comment: str | None) -> None:
        before = get(self.connection, version)
        found = self.step(transitions.reject, version, by=by, comment=comment)
        assert (found is not None) == (before.state in {"candidate", "validated", "rejected"})

    @rule(by=people)
    def roll_back(self, by: str) -> None:
        former = self.told.approvals[-2:-1]
        found = self.step(transitions.rollback, by=by)
        assert [found.version] == former if found is not None else former == []

    @rule(by=st.sampled_from(["", "  "]), version=versions)
    def decide_without_a_name(self, by: str, version: int) -> None:
        before = get(self.connection, version)
        for decide in (transitions.approve, transitions.reject, shadows.start):
            assert self.step(decide, version, by=by) is None
        assert self.step(transitions.rollback, by=by) is None
        assert get(self.connection, version) == before

    @rule(version=versions, by=people, since=st.none() | st.datetimes().map(datetime.astimezone))
    def start_shadow(self, version: int, by: str, since: datetime | None) -> None:
        state = get(self.connection, version).state
        assert (self.step(shadows.start, version, by=by, since=since) is not None) == (state == "validated")

    @rule(version=versions, by=people)
    def stop_shadow(self, version: int, by: str) -> None:
        was_shadowed = shadows.find(self.connection, version) is not None
        assert (self.step(shadows.stop, version, by=by) is not None) == was_shadowed

    @invariant()
    def the_history_tells_the_whole_story_of_one_champion_with_four_eyes(self) -> None:
        """Who hears every event once, in its order, knows the registry, its champion and its shadows."""
        for event in events_after(self.connection, self.heard):
            self.told.hear(event)
            self.heard += 1
        known = all_versions(self.connection)
        assert self.told.states == {version.version: version.state for version in known}
        assert self.told.trained_by == {version.version: version.trained_by for version in known}
        assert self.told.shadowed == {shadow.version for shadow in shadows.running(self.connection)}

        champions = [version for version in known if version.state == "approved"]
        assert [version.version for version in champions] == self.told.approvals[-1:]
        for champion in champions:
            assert champion == find_champion(self.connection)
            assert champion.approved_by is not None
            assert champion.approved_by.casefold() != champion.trained_by.casefold()
            assert not champion.failed_gates
            assert plan_digest(load_plan(self.connection, champion.version).to_json()) == champion.digest


def events_after(connection: Connection, heard: int) -> list[ModelEvent]:
    """The audit trail of all versions, oldest first, without what was heard."""
    columns = [model_event.c[one.name] for one in fields(ModelEvent)]
    rows = connection.execute(select(*columns).order_by(model_event.c.model_event_id).offset(heard))
    return [ModelEvent(**row._mapping) for row in rows]


@pytest.mark.timeout(3600)  # what a night's profile takes
def test_whatever_people_do_there_is_one_champion_four_eyes_and_a_whole_history(warehouse: Engine) -> None:
    machine = type("Registry", (Registry,), {"engine": warehouse})
    # One run of many steps costs as much as a dozen of other examples.
    runs = max(4, settings.default.max_examples // 12)
    run_state_machine_as_test(machine, settings=settings(max_examples=runs, stateful_step_count=30))
