"""Where in the portfolio a drift is."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from motorisk.monitoring.concentration import segments_of
from motorisk.simulation.portfolio import draw_features

Floats = npt.NDArray[np.float64]
World = dict[str, Floats]
EVERYTHING = (-1e6, 1e6)


def _worlds(seed: int, rows: int = 1500) -> tuple[World, World]:
    first, second = (draw_features(np.random.default_rng([71, seed, part]), 0, rows) for part in range(2))
    return first, second


def _young(world: World) -> npt.NDArray[np.bool_]:
    return world["age"] < 27


def test_a_drift_of_the_whole_portfolio_has_no_segment() -> None:
    named = 0
    for seed in range(30):
        reference, now = _worlds(seed)
        now["miles"] -= 8
        now["emergency_braking"] = np.maximum(now["emergency_braking"], now["power"] * 7 % 1 < 0.3)
        for feature in ("miles", "emergency_braking"):
            named += bool(segments_of(feature, reference, now, EVERYTHING))
    assert named <= 2  # 0.6 expected


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (_young, ["age below"]),
        (lambda world: world["emergency_braking"] == 1, ["with emergency_braking"]),
        (
            lambda world: _young(world) & (world["emergency_braking"] == 1),
            ["age below", "and with emergency_braking"],
        ),
    ],
)
def test_the_segment_in_which_it_happens_is_named_month_after_month(
    inside: Callable[[World], npt.NDArray[np.bool_]], words: list[str]
) -> None:
    right = 0
    for seed in range(20):
        reference, now = _worlds(100 + seed, 9000)
        now["miles"][inside(now)] -= 15
        first, *_ = segments_of("miles", reference, now, EVERYTHING)
        alike = all(word in first.where for word in words) and first.where.count(" and ") == len(words) - 1
        right += alike
        if alike:
            assert first.share == pytest.approx(inside(now).mean(), abs=0.05)
            assert first.share_of_shift == pytest.approx(1, abs=0.5)
            assert first.shift == pytest.approx(-15, abs=4)
            assert abs(first.elsewhere) < 2
    assert right >= 18


def test_two_segments_at_most_and_apart_from_each_other() -> None:
    reference, now = _worlds(200, 4000)
    now["power"][now["age"] < 27] += 60
    now["power"][(now["age"] > 40) & (now["miles"] > 90)] += 60
    found = segments_of("power", reference, now, EVERYTHING)
    assert len(found) == 2
    assert "age below" in found[0].where
    assert "age above" in found[1].where


def test_what_has_not_moved_has_no_segment_and_an_absurd_value_makes_none() -> None:
    reference, now = _worlds(300)
    assert segments_of("miles", reference, now, EVERYTHING) == []
    now["miles"][0] = 1e9
    assert segments_of("miles", reference, now, (0.0, 300.0)) == []
