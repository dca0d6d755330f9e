"""What unit tests share: a rating plan computed by hand, strategies for plans and policies, simulated snapshots."""

import math
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache

import pytest
from hypothesis import strategies as st

from motorisk.domain.policy import FEATURES, FLAGS, NUMBERS, PolicyFeatures
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan, Support
from motorisk.modelling.snapshot import Snapshot
from motorisk.simulation.portfolio import Simulation, simulate_month

FIRST_MONTH = date(2024, 1, 1)
RANGES = {"age": (15.0, 120.0), "braking_distance": (20.0, 60.0), "power": (20.0, 300.0), "miles": (0.0, 200.0)}
RULE_BOUNDARIES = {"age": (30.0, 50.0), "braking_distance": (), "power": (130.0,), "miles": (30.0, 50.0)}


@pytest.fixture(scope="session")
def plan() -> RatingPlan:
    """A plan whose answers can be computed by hand.

    Months since its as-of date are whole on 2025-05-02 (16) and 2028-01-01 (48: beyond the bound of 24).
    The age term jumps at 60, so that it shows to which segment a breakpoint belongs.
    """
    return RatingPlan(
        candidate="gam",
        as_of=date(2024, 1, 1),
        snapshot_digest="0123456789abcdef" * 4,
        intercept=0.5,
        spread=0.45,
        class_bounds=(1.0, 3.0),
        trend_months=(-8.0, 24.0),
        terms={
            "training": FlagTerm(level=(0.0, -4.0), trend=(0.0, 0.125), average=-0.75),
            "age": NumberTerm(
                level=PiecewiseCubic(
                    breakpoints=(25.0, 35.0, 60.0),
                    coefficients=(
                        (2.0, -0.25, 0.0, 0.0),
                        (2.0, -0.2, 0.01, 0.0),
                        (1.0, 0.5, -0.02, 0.001),
                        (20.0, 0.5, 0.0, 0.0),
                    ),
                ),
                trend=PiecewiseCubic(
                    breakpoints=(35.0,), coefficients=((0.0, 0.03125, 0.0, 0.0), (0.0, -0.0625, 0.0, 0.0))
                ),
                average=1.5,
            ),
            "emergency_braking": FlagTerm(level=(0.25, -1.0), average=-0.25),
            "braking_distance": NumberTerm(
                level=PiecewiseCubic(breakpoints=(40.0,), coefficients=((0.0, 0.25, 0.0, 0.0), (0.0, 0.25, 0.0, 0.0))),
                average=0.0,
            ),
            "power": NumberTerm(
                level=PiecewiseCubic(
                    breakpoints=(100.0,), coefficients=((0.0, -0.015625, 0.0, 0.0), (0.0, 0.03125, 0.0, 0.0))
                ),
                average=0.75,
            ),
            "miles": NumberTerm(
                level=PiecewiseCubic(
                    breakpoints=(50.0,), coefficients=((0.0, -0.03125, 0.0, 0.0), (0.0, 0.03125, 0.0, 0.0))
                ),
                average=0.5,
            ),
        },
        support={
            "training": Support(0.0, 1.0),
            "age": Support(20.0, 100.0),
            "emergency_braking": Support(0.0, 1.0),
            "braking_distance": Support(20.0, 60.0),
            "power": Support(60.0, 260.0),
            "miles": Support(5.0, 205.0),
        },
    )


def _floats(bound: float) -> st.SearchStrategy[float]:
    return st.floats(-bound, bound)


@st.composite
def _curves(draw: st.DrawFn, low: float, high: float, scale: float) -> PiecewiseCubic:
    breakpoints = sorted(draw(st.lists(st.floats(low, high), min_size=1, max_size=8, unique=True)))
    end = st.tuples(_floats(3 * scale), _floats(0.2 * scale), st.just(0.0), st.just(0.0))
    inner = st.tuples(_floats(3 * scale), _floats(0.2 * scale), _floats(0.01 * scale), _floats(1e-4 * scale))
    count = len(breakpoints) - 1
    coefficients = (draw(end), *draw(st.lists(inner, min_size=count, max_size=count)), draw(end))
    return PiecewiseCubic(breakpoints=tuple(breakpoints), coefficients=coefficients)


@st.composite
def _plans(draw: st.DrawFn) -> RatingPlan:
    terms: dict[str, NumberTerm | FlagTerm] = {}
    support = {}
    for name, feature in FEATURES.items():
        if feature.is_flag:
            trend = draw(st.none() | st.tuples(_floats(0.2), _floats(0.2)))
            terms[name] = FlagTerm(level=(draw(_floats(3)), draw(_floats(3))), trend=trend, average=draw(_floats(3)))
            support[name] = Support(*draw(st.sampled_from([(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 0.0)])))
        else:
            low, high = RANGES[name]
            terms[name] = NumberTerm(
                level=draw(_curves(low, high, 1.0)),
                trend=draw(st.none() | _curves(low, high, 0.05)),
                average=draw(_floats(3)),
            )
            narrow = st.tuples(st.floats(low, high), st.floats(low, high)).map(sorted)
            support[name] = Support(*draw(st.just((low, high)) | st.just((low, high)) | narrow))
    return RatingPlan(
        candidate="gam",
        as_of=draw(st.dates(date(2000, 1, 1), date(2050, 1, 1))),
        snapshot_digest="0" * 64,
        intercept=draw(_floats(5)),
        spread=draw(st.floats(0.05, 3)),
        class_bounds=(1.0, 3.0),
        trend_months=(-draw(st.floats(0, 24)), draw(st.floats(0, 60))),
        terms=terms,
        support=support,
    )


@pytest.fixture(scope="session")
def plans() -> st.SearchStrategy[RatingPlan]:
    """Any plan of a plausible size: with and without trends, with wide and with narrow support."""
    return _plans()


def _around(value: float) -> list[float]:
    return [math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf)]


def _policies(plan: RatingPlan) -> st.SearchStrategy[tuple[PolicyFeatures, date]]:
    values: dict[str, st.SearchStrategy[float]] = dict.fromkeys(FLAGS, st.sampled_from([0.0, 1.0]))
    for name in NUMBERS:
        term = plan.terms[name]
        assert isinstance(term, NumberTerm)
        curves = [term.level] if term.trend is None else [term.level, term.trend]
        special = [x for curve in curves for breakpoint_ in curve.breakpoints for x in _around(breakpoint_)]
        special += [x for edge in (*plan.support[name], *plan.support[name].widened()) for x in _around(edge)]
        special += [x for boundary in RULE_BOUNDARIES[name] for x in _around(boundary)]
        low, high = RANGES[name]
        far = st.floats(low - 3 * (high - low), high + 3 * (high - low))
        values[name] = st.floats(low, high) | st.sampled_from(special) | far
    features = st.builds(PolicyFeatures, **{name: values[name] for name in FEATURES})
    return st.tuples(features, st.integers(-4000, 4000).map(lambda days: plan.as_of + timedelta(days=days)))


@pytest.fixture(scope="session")
def policies() -> Callable[[RatingPlan], st.SearchStrategy[tuple[PolicyFeatures, date]]]:
    """For a plan: policies inside, at the edges of and far beyond its support, at its breakpoints; and dates."""
    return _policies


@lru_cache(maxsize=16)
def _snapshot_of_month(month: int, policies_a_month: int = 1500, seed: int = 1) -> Snapshot:
    simulation = Simulation(FIRST_MONTH, policies_a_month=policies_a_month, seed=seed)
    return Snapshot.of_table(date(2025, 2, 1), simulate_month(simulation, month))


@pytest.fixture(scope="session")
def snapshot_of_month() -> Callable[..., Snapshot]:
    """A simulated month's policies and outcomes: `(month, policies_a_month=1500, seed=1)`; not to be changed."""
    return _snapshot_of_month
