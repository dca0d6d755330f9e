"""Puts a card together from what the registry knows of a version."""

from collections.abc import Mapping, Sequence
from typing import Any

from motorisk.domain.rating_plan import RatingPlan
from motorisk.modelling.card.curves import Champion, term_panels, trend_panels
from motorisk.modelling.card.measured import calibration, explainability, price_impact, segments
from motorisk.modelling.card.relativities import relativities
from motorisk.modelling.card.structure import Card, Facts, Plots, Section, Table, Text
from motorisk.modelling.card.training import backtest, data, search
from motorisk.modelling.card.wording import listed, number, said, verdict
from motorisk.registry.events import ModelEvent
from motorisk.registry.versions import ModelVersion


def model_card(
    model: ModelVersion, plan: RatingPlan, *, history: Sequence[ModelEvent], champion: Champion | None
) -> Card:
    """The card of a version beside the champion: its number and its rating plan, where there is one.

    What was not recorded with the version is said so.
    """
    found = model.evaluation
    sections = (
        _gates(model),
        price_impact(found.get("price_impact"), model.version),
        _terms(plan, champion),
        _trends(plan, champion, found.get("still")),
        relativities(plan, champion),
        segments(found.get("segments")),
        calibration(found.get("calibration")),
        backtest(model.backtest),
        explainability(found.get("explainability")),
        data(model, found.get("data") or {}),
        search(model, found),
        _limits(plan),
        _decisions(history),
    )
    return Card(f"Model version {model.version}", _head(model, champion), sections)


def _head(model: ModelVersion, champion: Champion | None) -> Facts:
    metrics: Mapping[str, Any] = model.metrics
    approved = "no"
    if model.approved_by is not None and model.approved_at is not None:
        approved = f"by {said(model.approved_by)} at {model.approved_at:%Y-%m-%d %H:%M} UTC"
    beside = "no champion" if champion is None else f"version {champion[0]}, trained as of {champion[1].as_of}"
    return Facts(
        (
            ("version", f"{model.version} ({model.state}), candidate {said(model.candidate)}"),
            ("trained", f"by {said(model.trained_by)} on {model.rows:,} policies known on {model.as_of}"),
            (
                "on unseen policies",
                f"accuracy {number(metrics.get('accuracy'))}, log loss {number(metrics.get('log_loss'))}",
            ),
            ("beside", beside),
            ("approved", approved),
            ("digest", model.digest[:16]),
        )
    )


def _gates(model: ModelVersion) -> Section:
    if not model.gates:
        return Section("Gates", (Text("This version was checked by no gate."),))
    missed = [gate["name"] for gate in model.failed_gates]
    summary = f"Missed: {listed([said(name) for name in missed])}." if missed else "All passed."
    rows = tuple(
        (
            said(gate["name"]),
            number(gate["value"], ".4g"),
            f"{gate['rule']} {gate['threshold']:.4g}",
            verdict(gate["passed"]),
        )
        for gate in model.gates
    )
    return Section("Gates", (Text(summary), Table(("gate", "value", "must be", "verdict"), rows)))


def _terms(plan: RatingPlan, champion: Champion | None) -> Section:
    dashed = "" if champion is None else f" Dashed: version {champion[0]} on the same day."
    said_first = (
        "What each feature adds to the risk index, against the portfolio's average; a class is 2 wide. Shaded: values "
        f"that the model was trained on.{dashed}"
    )
    return Section("Terms", (Text(said_first), Plots(term_panels(plan, champion))))


def _trends(plan: RatingPlan, champion: Champion | None, still: Sequence[str] | None) -> Section:
    heading = "Change a month"
    kept = ""
    if still:
        names = listed([said(name).replace("_", " ") for name in still])
        kept = f" Not allowed to change with time, because that did not help the backtest: {names}."
    panels = trend_panels(plan, champion)
    if not panels:
        return Section(heading, (Text(f"No term of this model changes with time.{kept}"),))
    how_long = f"How fast each term moves, until {plan.trend_months[1]:g} months after {plan.as_of}.{kept}"
    return Section(heading, (Text(how_long), Plots(panels)))


def _limits(plan: RatingPlan) -> Section:
    trend = "It has no trends: it prices every day as it would have priced the newest known outcomes."
    if plan.has_trends:
        trend = (
            f"Its trends go on for {plan.trend_months[1]:g} months after {plan.as_of} and stand still from then on. "
            "They cannot foresee a change of direction."
        )
    answers = (
        "The model answers within its training support and 5 % beyond; farther out the underwriters' rules do. "
        "Its terms add up: it knows no interaction between features."
    )
    return Section("Limits", (Text(f"{answers} {trend}"),))


def _decisions(history: Sequence[ModelEvent]) -> Section:
    if not history:
        return Section("Decisions", (Text("Nothing was recorded in the audit trail."),))
    rows = tuple(
        (f"{event.happened_at:%Y-%m-%d %H:%M} UTC", said(event.event), said(event.actor), said(event.comment or ""))
        for event in history
    )
    return Section("Decisions", (Table(("when", "what", "who", "comment"), rows),))
