"""What the overview reads from the warehouse, and what it says where there is nothing yet."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, text

from motorisk.domain.calendar import add_months
from motorisk.errors import NotEnoughData
from motorisk.monitoring.measures import Kind
from motorisk.pipelines.overview.accuracy import Accuracy, AccuracyHistory
from motorisk.pipelines.overview.chart import accuracy_chart
from motorisk.pipelines.overview.drift_night import drift_of_night, newest_night
from motorisk.pipelines.overview.heat_map import MONTHS, heat_map
from motorisk.pipelines.overview.nights import Run, last_nights
from motorisk.pipelines.overview.page import Overview, drift_page, overview_page
from motorisk.pipelines.performance import report_performance
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.registry import transitions
from motorisk.registry.versions import all_versions
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import drift_metric, drift_reading, drift_run

NASTY = 'x"><script>alert(1)</script>'


class Somewhere:
    """Addresses that say what they lead to."""

    def overview(self, until: str | None = None) -> str:
        return f"/?until={until}"

    def versions(self) -> str:
        return "/models"

    def card(self, version: int) -> str:
        return f"/models/{version}"

    def scores(self, as_of: str) -> str:
        return f"/scores/{as_of}"

    def drift(self, as_of: str, feature: str | None = None) -> str:
        return f"/drift/{as_of}/{feature}"

    def full_report(self, as_of: str) -> str:
        return f"/drift/{as_of}/report"

    def run(self, dag_id: str, run_id: str) -> str:
        return f"/dags/{dag_id}/{run_id}"

    def required_actions(self) -> str:
        return "/required_actions"


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def _night(
    engine: Engine, as_of: date, month: date, features: Mapping[str, tuple[float, bool]], kind: Kind = Kind.POLICIES
) -> None:
    """What a night stores: scores against a threshold of 0.1, and whether the feature drifts."""
    drifted = sum(found for _, found in features.values())
    with engine.begin() as connection:
        connection.execute(
            insert(drift_run),
            {
                "as_of": as_of,
                "kind": kind,
                "version": 1,
                "month": month,
                "rows": 1500,
                "reference_rows": 1500,
                "dataset_drift": 2 * drifted >= len(features),
                "drifted_share": drifted / len(features),
                "report": "report.html",
            },
        )
        connection.execute(
            insert(drift_metric),
            [
                {
                    "as_of": as_of,
                    "kind": kind,
                    "feature": name,
                    "score": score,
                    "threshold": 0.1,
                    "drifted": found,
                    "method": "psi",
                    "says": f"{name} says.",
                }
                for name, (score, found) in features.items()
            ],
        )


@pytest.fixture
def championed(warehouse: Engine, offer: Callable[..., int]) -> Engine:
    version = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma")
    return warehouse


def test_a_month_is_what_its_last_night_knew(championed: Engine) -> None:
    march = date(2024, 3, 1)
    _night(championed, date(2024, 4, 1), march, {"age": (0.02, False), "miles": (0.04, False)})
    _night(championed, date(2024, 4, 20), march, {"age": (0.06, False), "miles": (0.12, True)})
    _night(championed, date(2024, 6, 2), date(2024, 5, 1), {"age": (0.2, True), "miles": (0.05, True)})
    tomorrow = datetime.now(UTC).date() + timedelta(days=2)
    _night(championed, tomorrow, date(2024, 6, 1), {"age": (9.0, True)})
    with championed.connect() as connection:
        found = heat_map(connection)
        assert newest_night(connection) == date(2024, 6, 2)
    assert found.months == (march, date(2024, 4, 1), date(2024, 5, 1))
    assert (found.years, found.earlier) == ([(2024, 3)], None)
    levels = {
        name: [cells[month].level if month in cells else None for month in found.months]
        for name, cells in found.cells.items()
    }
    assert levels == {"age": ["near", None, "far"], "miles": ["drifts", None, "drifts"]}
    assert found.cells["miles"][march].as_of == date(2024, 4, 20)
    assert found.cells["miles"][march].label == "miles drifts in 2024-03, score 0.120"


def test_years_of_nights_are_shown_three_at_a_time(championed: Engine) -> None:
    first = date(2018, 1, 1)
    for ahead in range(MONTHS + 5):
        month = add_months(first, ahead)
        _night(championed, add_months(month, 1), month, {"age": (0.01, False)})
    with championed.connect() as connection:
        newest = heat_map(connection)
        assert newest.earlier is not None
        earlier = heat_map(connection, newest.earlier)
        before = heat_map(connection, date(2000, 1, 1))
    assert len(newest.months) == MONTHS
    assert (earlier.months[0], earlier.months[-1], len(earlier.months)) == (first, date(2018, 5, 1), 5)
    assert earlier.earlier is None
    assert (newest.has_later, earlier.has_later, before.has_later) == (False, True, True)
    assert before.months == ()


def test_quotes_and_scores_of_the_day_are_not_mixed_with_the_policies(championed: Engine) -> None:
    day = date(2024, 4, 1)
    _night(championed, day, date(2024, 3, 1), {"age": (0.01, False)})
    for as_of in (day, date(2024, 4, 2)):
        _night(championed, as_of, date(2024, 4, 1), {"age": (0.9, True)}, Kind.QUOTES)
        _night(championed, as_of, date(2024, 4, 1), {"premium": (0.9, True)}, Kind.SCORES)
    with championed.connect() as connection:
        shown = heat_map(connection)
        assert newest_night(connection) == day
        assert [(feature.name, feature.drifted) for feature in drift_of_night(connection, day).features] == [
            ("age", False)
        ]
        (night,) = last_nights(connection, [_run("report_drift", day, 1)])
    assert shown.months == (date(2024, 3, 1),)
    assert list(shown.cells) == ["age"]
    assert (night.dataset_drift, night.drifted) == (False, ())


def test_a_night_is_told_feature_by_feature_and_hostile_names_are_text(championed: Engine) -> None:
    day = date(2024, 4, 1)
    _night(championed, day, date(2024, 3, 1), {NASTY: (0.3, True), "miles": (0.12, True), "age": (0.01, False)})
    with championed.connect() as connection:
        night = drift_of_night(connection, day)
        shown = heat_map(connection)
        with pytest.raises(NotEnoughData, match="no drift was measured as of 2024-04-02"):
            drift_of_night(connection, date(2024, 4, 2))
    assert [feature.name for feature in night.features] == ["age", "miles", NASTY]
    assert night.verdict == f"The dataset drifts: 2 of 3 features do: miles, {NASTY}."
    runs = [_run("report_drift", day, 1, note=NASTY, run_id=NASTY)]
    with championed.connect() as connection:
        overview = Overview(all_versions(connection), shown, Accuracy(), last_nights(connection, runs))
    for page in (drift_page(night, Somewhere()), overview_page(overview, Somewhere())):
        assert "&lt;script&gt;alert(1)" in page
        tags = Tags(page)
        assert len(tags.named("script")) == 1  # the page's own
        assert "alert(1)" not in page.partition("</script>")[0]


def test_what_a_night_reads_into_an_alarm_is_shown_beside_its_feature(championed: Engine) -> None:
    day = date(2024, 4, 1)
    _night(championed, day, date(2024, 3, 1), {"miles": (0.3, True), "age": (0.01, False)})
    with championed.begin() as connection:
        connection.execute(
            insert(drift_reading),
            {
                "as_of": day,
                "feature": "miles",
                "version": 1,
                "action": "nothing",
                "says": f"Fewer miles. {NASTY}",
                "reading": {},
            },
        )
        night = drift_of_night(connection, day)
    assert [(feature.name, feature.reading) for feature in night.features] == [
        ("age", None),
        ("miles", f"Fewer miles. {NASTY}"),
    ]
    page = drift_page(night, Somewhere())
    assert page.count('class="reading"') == 1
    assert "Fewer miles. x&#34;&gt;&lt;script&gt;alert(1)" in page


def _run(dag_id: str, day: date, hour: int, **values: Any) -> Run:
    due = datetime(2024, 5, 1, hour, tzinfo=UTC)
    return Run(
        **{
            "dag_id": dag_id,
            "run_id": f"r{hour}",
            "state": "success",
            "due": due,
            "seconds": 75.4,
            "dates": (day,),
            "note": None,
        }
        | values
    )


def test_nights_are_the_dates_of_runs_with_what_is_stored(championed: Engine) -> None:
    one, two = date(2024, 3, 31), date(2024, 4, 30)
    _night(championed, two, date(2024, 4, 1), {"age": (0.2, True), "miles": (0.3, True), "power": (0.0, False)})
    with championed.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO motorisk.score_run (as_of, version, tariff, rows, by_predictor, by_class, net_total, "
                "seconds, run_id, quarantined, partitions, renewals, capped, class_changed) "
                "SELECT '2024-04-30', 1, name, 1234, '{}', '{}', 1, 1, 1, 0, 1, 0, 0, 0 FROM motorisk.tariff LIMIT 1"
            )
        )
    runs = [
        _run("score_portfolio", two, 2),
        _run("score_portfolio", two, 5, state="failed", note="by hand"),
        _run("report_drift", two, 3, dates=(one, two)),
    ]
    with championed.connect() as connection:
        newest, older = last_nights(connection, runs)
    assert (newest.as_of, newest.scored, newest.dataset_drift, newest.drifted) == (two, 1234, True, ("miles", "age"))
    assert (newest.runs["score_portfolio"].run_id, newest.counts) == ("r5", {"score_portfolio": 2, "report_drift": 1})
    assert (newest.notes, newest.runs["report_drift"].duration) == (["by hand"], "1 min 15 s")
    assert (older.as_of, older.scored, older.drifted, list(older.runs)) == (one, None, None, ["report_drift"])


def test_trained_once_is_what_the_first_version_would_have_reached(
    warehouse: Engine, offer: Callable[..., int]
) -> None:
    """Measured before a second version took over, and afterwards beside it: the same, with nothing known later."""
    simulate_portfolio(warehouse, Simulation(date(2024, 2, 1), months=6, policies_a_month=200, label_delay_months=1))
    with warehouse.begin() as connection:
        transitions.approve(connection, offer(warehouse, 1.0), by="uma")
    night = date(2024, 6, 10)
    alone = {month.month: month for month in report_performance(warehouse, night).realised}
    second = offer(warehouse, 3.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, second, by="uma")
        connection.execute(
            text("UPDATE motorisk.model_version SET as_of = '2024-04-15' WHERE version = :v"), {"v": second}
        )
        # As training writes it: how far back a version learned.
        connection.execute(
            text("""UPDATE motorisk.model_version SET parameters = parameters || '{"window_months": 12}'""")
        )
    report_performance(warehouse, night)
    history = AccuracyHistory()
    with warehouse.connect() as connection:
        found = history.read(connection)
    assert (found.as_of, found.first, found.one_in, found.was_trained_again) == (night, 1, 1, True)
    served = {month.month: month.version for month in found.months}
    assert served == dict.fromkeys((date(2024, m, 1) for m in (2, 3, 4)), 1) | {date(2024, 5, 1): second}
    assert {month.month: month.once for month in found.months} == {m: a.accuracy for m, a in alone.items()}
    (may,) = found.months[-1:]
    assert may.once != may.accuracy

    statements: list[str] = []
    event.listen(warehouse, "before_cursor_execute", lambda *a: statements.append(a[2]))
    with warehouse.connect() as connection:
        assert history.read(connection) == found
    assert len(statements) == 2  # which night, and its rows: the first version is not measured again

    report_performance(warehouse, date(2024, 7, 10))
    with warehouse.connect() as connection:
        later = history.read(connection)
    assert [month.month.month for month in later.months] == [2, 3, 4, 5, 6]
    pieces = accuracy_chart(later.months)
    assert [len(piece) for piece in pieces.platform] == [len(piece) for piece in pieces.once] == [5]


def test_a_month_of_which_no_outcome_is_known_has_no_first_version(
    warehouse: Engine, offer: Callable[..., int]
) -> None:
    """January is served by the version made during it; its only policy has no outcome."""
    simulate_portfolio(warehouse, Simulation(date(2024, 2, 1), months=2, policies_a_month=200, label_delay_months=1))
    first, second = offer(warehouse, 1.0), offer(warehouse, 2.0)
    with warehouse.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO insurance.policy "
                "VALUES ('alone', NULL, '2024-01-10', '2025-01-10', false, 40, true, 40, 90, 20)"
            )
        )
        for version in (first, second):
            transitions.approve(connection, version, by="uma")
    months = report_performance(warehouse, date(2024, 4, 10)).months
    assert [(month.month.month, month.version, month.rows > 0) for month in months] == [
        (1, first, False),
        (2, second, True),
        (3, second, True),
    ]
    with warehouse.connect() as connection:
        found = AccuracyHistory().read(connection)
    assert (found.first, found.was_trained_again) == (second, False)


def test_a_fresh_system_says_in_words_what_will_come(warehouse: Engine) -> None:
    with warehouse.connect() as connection:
        overview = Overview(
            all_versions(connection),
            heat_map(connection),
            AccuracyHistory().read(connection),
            last_nights(connection, []),
        )
    page = overview_page(overview, Somewhere())
    for sentence in (
        "No model was trained yet",
        "No drift was measured yet",
        "Nothing was measured yet",
        "No night has run yet",
    ):
        assert sentence in page
    assert Tags(page).named("table") == []


def test_what_a_reader_may_not_see_is_not_there(championed: Engine) -> None:
    with championed.connect() as connection:
        page = overview_page(Overview(all_versions(connection), None, None, None), Somewhere())
    for dag_id in ("report_drift", "report_performance", "score_portfolio"):
        assert f"for people who may see the DAG <code>{dag_id}</code>" in page
