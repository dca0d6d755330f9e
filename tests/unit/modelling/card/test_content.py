"""What a card tells, whatever is known of a version."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.modelling.card.structure import Alarm, Card, Facts, Panel, Plots, Section, Table, Text
from motorisk.modelling.card.wording import said
from motorisk.registry.versions import ModelVersion

MakeCard = Callable[..., Card]


def section(card: Card, heading: str) -> Section:
    return next(found for found in card.sections if found.heading.startswith(heading))


def table(card: Card, heading: str, number: int = 0) -> Table:
    return [part for part in section(card, heading).parts if isinstance(part, Table)][number]


def texts(card: Card, heading: str) -> str:
    return " ".join(part.text for part in section(card, heading).parts if isinstance(part, Text))


def facts(card: Card, heading: str) -> dict[str, str]:
    return dict(next(part for part in section(card, heading).parts if isinstance(part, Facts)).rows)


def panel(card: Card, name: str) -> Panel:
    return card.panels[name]


def test_a_card_says_who_trained_what_on_what(card: Card) -> None:
    assert dict(card.head.rows) == {
        "version": "2 (validated), candidate trend_gam",
        "trained": "by tess on 36,000 policies known on 2024-01-01",
        "on unseen policies": "accuracy 0.914, log loss 0.316",
        "beside": "version 1, trained as of 2023-12-01",
        "approved": "no",
        "digest": "d" * 16,
    }
    assert facts(card, "Data")["months in which they began"] == "2024-01 to 2025-12"
    assert facts(card, "Data")["backtest on"] == "2025-07 to 2025-12 (6 months)"
    assert facts(card, "Data")["snapshot digest"] == "a" * 64


def test_missed_gates_stand_out(card: Card, make_card: MakeCard, model: ModelVersion) -> None:
    assert texts(card, "Gates") == "Missed: calibration error."
    passed, missed = table(card, "Gates").rows
    assert passed == ("hold-out accuracy", "0.914", ">= 0.85", "passed")
    assert missed[-1] == "missed"
    assert isinstance(missed[-1], Alarm)
    assert texts(make_card(gates=model.gates[:1]), "Gates") == "All passed."


def test_candidates_show_only_figures_that_some_of_them_have(card: Card, make_card: MakeCard) -> None:
    shown = table(card, "Backtest")
    assert shown.headings[:6] == ("candidate", "log loss", "accuracy", "RMSE", "Gini", "calibration error")
    chosen = next(row for row in shown.rows if row[0] == "trend_gam")
    assert chosen[1] == "0.3156 ± 0.0041 [0.3076 to 0.3236]"
    assert chosen[-1] == "chosen"
    assert [row[-1] for row in shown.rows] == ["yardstick", "", "chosen", "yardstick"]
    assert next(row for row in shown.rows if row[0] == "boosting")[3] == "–"
    old = [{"candidate": "gam", "additive": True, "chosen": True, "policies": 9, "log_loss": 0.4, "accuracy": 0.8}]
    assert table(make_card(backtest=tuple(old)), "Backtest").headings[:3] == ("candidate", "log loss", "accuracy")


def test_terms_are_shown_now_and_later_beside_the_champion_on_the_same_day(card: Card, plan: RatingPlan) -> None:
    assert [name for name in card.panels if name.startswith("term-")] == [f"term-{name}" for name in FEATURES]
    age = panel(card, "term-age")
    assert [line.label for line in age.lines] == [
        "on 2024-01-01",
        "6 months later",
        "12 months later",
        "version 1, same day",
    ]
    assert age.shaded == (20.0, 100.0)
    assert (age.lines[0].x[0], age.lines[0].x[-1]) == (15.0, 108.0)  # to what is plausible, and 10 % beyond support
    at_35 = min(range(len(age.lines[0].x)), key=lambda index: abs(age.lines[0].x[index] - 55.0))
    x = age.lines[0].x[at_35]
    level = 1.0 + 0.5 * (x - 35) - 0.02 * (x - 35) ** 2 + 0.001 * (x - 35) ** 3
    assert age.lines[0].y[at_35] == pytest.approx(level - 1.5)
    assert age.lines[1].y[at_35] == pytest.approx(level - 1.5 - 6 * 0.0625 * (x - 35))
    assert age.lines[3].y[at_35] == pytest.approx(level - 1.25)
    # The champion is a month older, and so are its trends.
    training = panel(card, "term-training")
    assert training.lines[0].y == (0.75, -3.25)
    assert training.lines[-1].y[1] == pytest.approx(-3.25 + 0.125 * 31 / 30.4375)


def test_terms_without_a_trend_are_shown_once(card: Card) -> None:
    assert [line.style for line in panel(card, "term-power").lines] == ["now", "champion"]
    assert [name for name in card.panels if name.startswith("trend-")] == ["trend-training", "trend-age"]
    assert "power and miles" in texts(card, "Change a month")


def test_nothing_is_shown_later_than_trends_go_on(make_card: MakeCard, plan: RatingPlan) -> None:
    def labels(until: float) -> list[str]:
        short = plan.model_copy(update={"trend_months": (-8.0, until)})
        return [line.label for line in panel(make_card(of=short, alone=True), "term-age").lines]

    assert labels(6.0) == ["on 2024-01-01", "6 months later and on"]
    assert labels(9.0) == ["on 2024-01-01", "6 months later", "9 months later and on"]
    assert labels(0.0) == ["on 2024-01-01"]


def test_a_plot_is_told_in_words(card: Card) -> None:
    assert "version 1, same day: " in panel(card, "term-age").description
    assert "Trained on 20 to 100 years." in panel(card, "term-age").description
    assert panel(card, "trend-training").description.startswith(
        "training, risk index a month. change a month: +0 without, +0.125 with"
    )


def test_a_model_without_trends_says_so(make_card: MakeCard, plan: RatingPlan) -> None:
    terms = {name: term.model_copy(update={"trend": None}) for name, term in plan.terms.items()}
    still = make_card(of=plan.model_copy(update={"terms": terms}))
    assert texts(still, "Change a month").startswith("No term of this model changes with time.")
    assert "It has no trends" in texts(still, "Limits")
    assert not [part for part in section(still, "Change a month").parts if isinstance(part, Plots)]


def test_relativities_stand_beside_the_champions(card: Card, make_card: MakeCard) -> None:
    shown = table(card, "Relativities")
    assert shown.headings[2:] == ("risk index against average", "change a month", "version 1", "difference")
    assert ("training", "yes", "-3.25", "+0.125", "-3.12", "-0.13") in shown.rows
    assert ("power", "60 kW", "-0.12", "+0.000", "-0.12", "+0.00") in shown.rows
    assert len(table(make_card(alone=True), "Relativities").headings) == 4


def test_segments_come_in_the_order_of_features_and_point_at_what_is_off(card: Card) -> None:
    shown = table(card, "Segments")
    assert shown.headings[:3] == ("training", "age", "power")
    pointed_at = [row for row in shown.rows if isinstance(row[-1], Alarm)]
    assert [(row[:3], row[-1]) for row in pointed_at] == [(("no", "below 25", "over 130"), "1.31")]


def test_small_segments_may_be_off_by_chance(make_card: MakeCard, model: ModelVersion) -> None:
    def alarms(actual: int, expected: float) -> bool:
        row = {**model.evaluation["segments"][0], "actual_high": actual, "expected_high": expected}
        row["actual_to_expected"] = actual / expected
        return isinstance(table(make_card(evaluation={"segments": [row]}), "Segments").rows[0][-1], Alarm)

    assert not alarms(3, 1.5)
    assert alarms(300, 150.0)
    assert alarms(100, 150.0)
    assert not alarms(1100, 1000.0)


def test_price_impact_shows_the_distribution_and_the_worst_losers(card: Card) -> None:
    assert "16,898 policies" in texts(card, "Price impact")
    assert "+1.2 % on average, 4.0 % of the policies change by more than 20 %" in texts(card, "Price impact")
    assert table(card, "Price impact").rows[0] == ("1 %", "-18.2 %")
    losers = table(card, "Price impact", 1)
    assert losers.headings == (
        "policy",
        "training",
        "age",
        "emergency braking",
        "braking distance",
        "power",
        "miles",
        "version 1",
        "version 2",
        "change",
    )
    assert len(losers.rows) == 20
    assert losers.rows[0][-1] == "+62.0 %"


def test_what_being_explainable_costs_is_told_with_its_doubt(make_card: MakeCard, model: ModelVersion) -> None:
    def told(**changes: Any) -> str:
        found = {**model.evaluation["explainability"], **changes}
        return texts(make_card(evaluation={"explainability": found}), "What being explainable costs")

    assert told() == "The yardstick boosting has a log loss lower by 0.0121 ± 0.0032, clearly more than chance."
    assert "which may be chance" in told(clearly=False)
    assert told(cost=-0.01).startswith("Nothing: the yardstick boosting has no lower log loss (0.0100")
    assert told(cost=None) == "No black box was compared when this version was trained."


def test_settings_are_those_that_the_search_settled_on(card: Card, make_card: MakeCard) -> None:
    assert facts(card, "Settings")["knots"] == "14"
    assert facts(card, "Settings")["candidates"] == "gam, trend_gam"
    assert "at the edge of what was tried, so that more may help: knots" in texts(card, "Settings")
    assert table(card, "Settings").rows[-1][-1] == "chosen"
    assert "nothing was searched" in texts(make_card(evaluation={}), "Settings")


def test_decisions_are_told_with_their_comments(make_card: MakeCard) -> None:
    card = make_card("as dear as it\nshould be")
    assert table(card, "Decisions").rows == (("2024-01-02 12:00 UTC", "registered", "tess", "as dear as it should be"),)


def test_what_people_wrote_steers_no_terminal_and_turns_no_text_around() -> None:
    assert said("fine \x1b[2J\u202eenif\u2066 \t\n so\x00") == "fine [2Jenif so"


def test_a_card_without_an_evaluation_says_what_is_missing(make_card: MakeCard) -> None:
    card = make_card(evaluation={}, backtest=(), gates=(), alone=True)
    for heading, sentence in (
        ("Price impact", "No prices were compared"),
        ("Segments", "Segments were not measured"),
        ("Calibration", "Calibration was not measured"),
        ("Backtest", "Too few months have matured"),
        ("What being explainable costs", "No black box was compared"),
        ("Gates", "checked by no gate"),
    ):
        assert sentence in texts(card, heading)
    assert facts(card, "Data")["months in which they began"] == "not recorded"
    assert dict(card.head.rows)["beside"] == "no champion"


def _without(facts: Any, path: tuple[Any, ...], *, null: bool) -> Any:
    changed = copy.deepcopy(facts)
    place = changed
    for step in path[:-1]:
        place = place[step]
    if null:
        place[path[-1]] = None
    else:
        del place[path[-1]]
    return changed


def _paths(facts: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key of the evaluation, of lists the first element's."""
    if isinstance(facts, dict):
        return [found for key in facts for found in ((*path, key), *_paths(facts[key], (*path, key)))]
    return _paths(facts[0], (*path, 0)) if isinstance(facts, list) and facts else []


@pytest.mark.parametrize("null", [True, False])
def test_any_fact_may_be_missing(make_card: MakeCard, model: ModelVersion, *, null: bool) -> None:
    paths = _paths(model.evaluation)
    assert ("price_impact", "quantiles", "0.01") in paths
    for path in paths:
        card = make_card(evaluation=_without(model.evaluation, path, null=null))
        assert len(card.sections) == 13, path
