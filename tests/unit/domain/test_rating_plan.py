"""The served model's document: canonical, verified, and refused where anything is unexpected."""

import copy
import hashlib
import json
import math
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import (
    MAX_PLAN_BYTES,
    FlagTerm,
    PiecewiseCubic,
    RatingPlan,
    Support,
    plan_digest,
)
from motorisk.errors import PlanRefused

Change = Callable[[dict[str, Any]], None]

# Shrinking a whole rating plan takes minutes and makes it no clearer.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)


def canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def load(text: str) -> RatingPlan:
    """Load a text whose digest is right: only its content can be refused."""
    return RatingPlan.from_json(text, digest=hashlib.sha256(text.encode()).hexdigest())


def changed(plan: RatingPlan, change: Change) -> str:
    document = copy.deepcopy(json.loads(plan.to_json()))
    change(document)
    return canonical(document)


# --- what a plan is -------------------------------------------------------------------------------------------


def test_a_plan_reads_back_from_its_own_text(plan: RatingPlan) -> None:
    assert load(plan.to_json()) == plan


@settings(max_examples=50, phases=UNSHRUNK)
@given(data=st.data())
def test_any_plan_reads_back_the_same_and_writes_the_same_text(
    plans: st.SearchStrategy[RatingPlan], data: st.DataObject
) -> None:
    plan = data.draw(plans)
    text = plan.to_json()
    read = load(text)
    assert read == plan
    assert read.to_json() == text


def test_the_text_is_canonical(plan: RatingPlan) -> None:
    text = plan.to_json()
    assert text == canonical(json.loads(text))
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert " " not in text
    assert "\n" not in text


def test_floats_are_written_as_short_as_reads_back_the_same(plan: RatingPlan) -> None:
    text = plan.model_copy(update={"intercept": 0.1 + 0.2, "spread": 0.1}).to_json()
    assert '"intercept":0.30000000000000004,' in text
    assert '"spread":0.1,' in text


def test_the_order_in_which_a_plan_was_put_together_does_not_matter(plan: RatingPlan) -> None:
    backwards = RatingPlan(
        **{
            **dict(plan),
            "terms": dict(reversed(plan.terms.items())),
            "support": dict(reversed(plan.support.items())),
        }
    )
    assert backwards.to_json() == plan.to_json()


def test_the_digest_is_the_sha256_of_the_text(plan: RatingPlan) -> None:
    assert plan_digest(plan.to_json()) == hashlib.sha256(plan.to_json().encode("utf-8")).hexdigest()
    assert plan_digest("ä") == hashlib.sha256(b"\xc3\xa4").hexdigest()


def test_a_plan_cannot_be_changed(plan: RatingPlan) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        plan.intercept = 0.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        plan.terms["training"].average = 0.0  # type: ignore[misc]


def test_the_support_is_widened_by_a_twentieth_of_its_width_on_either_side() -> None:
    assert Support(20.0, 100.0).widened() == Support(16.0, 104.0)
    assert Support(7.0, 7.0).widened() == Support(7.0, 7.0)
    assert Support(0.0, 1.0).widened() == Support(-0.05, 1.05)


@pytest.mark.parametrize(
    ("day", "months"),
    [
        (date(2024, 1, 1), 0.0),
        (date(2025, 5, 2), 16.0),
        (date(2028, 1, 1), 24.0),
        (date(9999, 12, 31), 24.0),
        (date(2023, 12, 1), -31 / 30.4375),
        (date(2020, 1, 1), -8.0),
        (date(1, 1, 1), -8.0),
    ],
)
def test_trends_are_extrapolated_to_their_bounds_only(plan: RatingPlan, day: date, months: float) -> None:
    assert plan.trend_time(day) == pytest.approx(months, abs=1e-12)


def test_a_plan_without_trend_months_stays_at_its_as_of_date(plan: RatingPlan) -> None:
    still = RatingPlan(**{**dict(plan), "trend_months": (0.0, 0.0)})
    assert {still.trend_time(plan.as_of + timedelta(days=days)) for days in (-500, 0, 500)} == {0.0}


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.fault("corrupted rating plan")
def test_a_plan_that_was_changed_after_training_is_refused(plan: RatingPlan) -> None:
    text = plan.to_json()
    tampered = text.replace('"intercept":0.5', '"intercept":0.4')
    assert tampered != text
    with pytest.raises(PlanRefused, match="changed after training"):
        RatingPlan.from_json(tampered, digest=plan_digest(text))


@pytest.mark.fault("corrupted rating plan")
def test_a_wrong_digest_is_refused(plan: RatingPlan) -> None:
    with pytest.raises(PlanRefused, match="SHA-256 is not 000000000000…"):
        RatingPlan.from_json(plan.to_json(), digest="0" * 64)


def _put(*path: str | int, value: Any) -> Change:
    def change(document: Any) -> None:
        *outer, last = path
        for part in outer:
            document = document[part]
        document[last] = value

    return change


def _drop(*path: str) -> Change:
    def change(document: Any) -> None:
        *outer, last = path
        for part in outer:
            document = document[part]
        del document[last]

    return change


LEVEL = ("terms", "age", "level")

HOSTILE: dict[str, tuple[Change, str]] = {
    "intercept missing": (_drop("intercept"), "intercept: Field required"),
    "term missing": (_drop("terms", "age"), "terms must name exactly the features training, age"),
    "term of an unknown feature": (
        _put("terms", "colour", value={"kind": "flag", "level": [0.0, 1.0], "average": 0.0, "trend": None}),
        "terms must name exactly the features",
    ),
    "support missing": (_drop("support", "miles"), "support must name exactly the features"),
    "support of an unknown feature": (_put("support", "colour", value=[0.0, 1.0]), "support must name exactly"),
    "unknown key": (_put("comment", value="hello"), "comment: Extra inputs are not permitted"),
    "unknown key in a term": (_put("terms", "age", "code", value="1"), "code: Extra inputs are not permitted"),
    "unknown key in a curve": (_put(*LEVEL, "degree", value=3), "degree: Extra inputs are not permitted"),
    "breakpoints not sorted": (_put(*LEVEL, "breakpoints", value=[35.0, 25.0, 60.0]), "breakpoints must increase"),
    "breakpoints repeated": (_put(*LEVEL, "breakpoints", value=[25.0, 25.0, 60.0]), "breakpoints must increase"),
    "no breakpoints": (
        lambda document: document["terms"]["age"].update(level={"breakpoints": [], "coefficients": [[0.0] * 4]}),
        "at least 1 item",
    ),
    "too many breakpoints": (
        lambda document: document["terms"]["age"].update(
            level={"breakpoints": [float(i) for i in range(1001)], "coefficients": [[0.0] * 4] * 1002}
        ),
        "at most 1000 items",
    ),
    "a segment too few": (lambda document: document["terms"]["age"]["level"]["coefficients"].pop(1), "one segment"),
    "a segment too many": (
        lambda document: document["terms"]["age"]["level"]["coefficients"].insert(1, [0.0] * 4),
        "one segment more than breakpoints",
    ),
    "a segment of degree two": (_put(*LEVEL, "coefficients", 1, value=[0.0] * 3), "coefficients.1"),
    "a segment of degree four": (_put(*LEVEL, "coefficients", 1, value=[0.0] * 5), "coefficients.1"),
    "left end not linear": (_put(*LEVEL, "coefficients", 0, 2, value=1e-9), "outer segments must be linear"),
    "right end not linear": (_put(*LEVEL, "coefficients", -1, 3, value=1e-9), "outer segments must be linear"),
    "trend with the left end not linear": (
        _put("terms", "age", "trend", "coefficients", 0, 3, value=1.0),
        "outer segments must be linear",
    ),
    "a flag's term for a number": (
        _put("terms", "age", value={"kind": "flag", "level": [0.0, 1.0], "average": 0.0, "trend": None}),
        "the term of age must be of the other kind",
    ),
    "a number's term for a flag": (
        lambda document: document["terms"].update(training=document["terms"]["age"]),
        "the term of training must be of the other kind",
    ),
    "unknown kind of term": (_put("terms", "age", "kind", value="pickle"), "terms.age"),
    "kind missing": (_drop("terms", "age", "kind"), "terms.age"),
    "flag with three levels": (_put("terms", "training", "level", value=[0.0, 1.0, 2.0]), "terms.training"),
    "empty support": (_put("support", "age", value=[100.0, 20.0]), "the support of age is empty"),
    "support without an end": (_put("support", "age", value=[20.0]), "support.age"),
    "wrong schema version": (_put("schema_version", value=2), "schema_version"),
    "schema version as text": (_put("schema_version", value="1"), "schema_version"),
    "schema version true": (_put("schema_version", value=True), "canonical|schema_version"),
    "schema version missing": (_drop("schema_version"), "not canonical"),
    "number as text": (_put("intercept", value="0.5"), "intercept: Input should be a valid number"),
    "number as an integer": (_put("intercept", value=1), "not canonical"),
    "number as true": (_put("intercept", value=True), "intercept"),
    "number as null": (_put("intercept", value=None), "intercept"),
    "number of 400 digits": (_put("intercept", value=10**400), "intercept"),
    "no spread": (_put("spread", value=0.0), "spread: Input should be greater than 0"),
    "negative spread": (_put("spread", value=-0.4), "spread: Input should be greater than 0"),
    "class bounds the wrong way round": (_put("class_bounds", value=[3.0, 1.0]), "class_bounds must increase"),
    "class bounds equal": (_put("class_bounds", value=[1.0, 1.0]), "class_bounds must increase"),
    "trend months the wrong way round": (_put("trend_months", value=[1.0, 0.0]), "trend_months must not decrease"),
    "not a date": (_put("as_of", value="yesterday"), "as_of"),
    "a time of day": (_put("as_of", value="2024-01-01T00:00:00"), "not canonical"),
    "a number of seconds for a date": (_put("as_of", value=1_704_067_200), "not canonical"),
    "snapshot digest too short": (_put("snapshot_digest", value="abc"), "snapshot_digest"),
    "snapshot digest with a path": (_put("snapshot_digest", value="../" + "0" * 61), "snapshot_digest"),
    "candidate as a number": (_put("candidate", value=1), "candidate"),
    "terms as a list": (_put("terms", value=[]), "terms"),
    "deep nesting in a number's place": (_put("intercept", value=[[[[[[0.0]]]]]]), "intercept"),
}


@pytest.mark.bad_input("rating plan")
@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_plan_is_refused_with_one_line_that_says_why(plan: RatingPlan, change: Change, message: str) -> None:
    with pytest.raises(PlanRefused, match=message) as refusal:
        load(changed(plan, change))
    assert "\n" not in str(refusal.value)


@pytest.mark.fault("plan of a newer schema")
def test_a_plan_of_a_newer_schema_says_what_to_do(plan: RatingPlan) -> None:
    def newer(document: Any) -> None:
        document.update(schema_version=2, vehicle_types=[])

    with pytest.raises(PlanRefused) as refusal:
        load(changed(plan, newer))
    assert str(refusal.value) == (
        "rating plan: schema_version is 2, this code reads 1: run the code that trained the version, or approve one "
        "that this code trained"
    )


NUMBERS_OF_A_PLAN: list[tuple[str | int, ...]] = [
    ("intercept",),
    ("spread",),
    ("class_bounds", 1),
    ("trend_months", 1),
    ("support", "age", 1),
    ("terms", "training", "level", 1),
    ("terms", "training", "trend", 1),
    ("terms", "training", "average"),
    ("terms", "age", "average"),
    ("terms", "age", "level", "breakpoints", 2),
    ("terms", "age", "level", "coefficients", 2, 3),
    ("terms", "age", "level", "coefficients", 3, 1),
    ("terms", "age", "trend", "breakpoints", 0),
    ("terms", "age", "trend", "coefficients", 0, 0),
]


@pytest.mark.bad_input("rating plan")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308, 1.1e12])
@pytest.mark.parametrize("path", NUMBERS_OF_A_PLAN, ids=lambda path: ".".join(map(str, path)))
def test_a_number_that_is_not_finite_or_beyond_all_meaning_is_refused_wherever_it_stands(
    plan: RatingPlan, path: tuple[str | int, ...], value: float
) -> None:
    text = changed(plan, _put(*path, value=value))
    # Its name is given: it was the number and nothing else that was refused.
    with pytest.raises(PlanRefused, match=rf"^rating plan: {path[0]}.*: Input should be"):
        load(text)


@pytest.mark.bad_input("rating plan")
def test_a_number_that_overflows_when_it_is_read_is_refused(plan: RatingPlan) -> None:
    with pytest.raises(PlanRefused, match="intercept"):
        load(plan.to_json().replace('"intercept":0.5', '"intercept":1e999'))


@pytest.mark.bad_input("rating plan")
@pytest.mark.parametrize(
    ("original", "replacement"),
    [
        ('"intercept":0.5', '"intercept":0.5,"intercept":0.5'),
        ('"intercept":0.5', '"intercept":9.9,"intercept":0.5'),
        ('"miles":[5.0,205.0]', '"miles":[0.0,999.0],"miles":[5.0,205.0]'),
    ],
)
def test_a_key_that_stands_twice_is_refused(plan: RatingPlan, original: str, replacement: str) -> None:
    text = plan.to_json()
    assert text.count(original) == 1
    with pytest.raises(PlanRefused, match="not canonical"):
        load(text.replace(original, replacement))


@pytest.mark.bad_input("rating plan")
@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: f" {text}",
        lambda text: f"{text}\n",
        lambda text: text.replace(",", ", ", 1),
        lambda text: text.replace('"intercept":0.5', '"intercept":5e-1'),
        lambda text: text.replace('"intercept":0.5', '"intercept":0.50'),
        lambda text: text.replace('"gam"', '"\\u0067am"'),
        lambda text: json.dumps(json.loads(text)),
        lambda text: json.dumps(dict(reversed(json.loads(text).items())), separators=(",", ":")),
    ],
    ids=["leading space", "newline", "space", "exponent", "trailing zero", "escape", "pretty", "order of keys"],
)
def test_the_same_content_written_another_way_is_refused(plan: RatingPlan, rewrite: Callable[[str], str]) -> None:
    text = rewrite(plan.to_json())
    assert json.loads(text) == json.loads(plan.to_json())
    assert text != plan.to_json()
    with pytest.raises(PlanRefused, match="not canonical"):
        load(text)


@pytest.mark.bad_input("rating plan")
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "1",
        '"plan"',
        "[]",
        "[{}]",
        "{}",
        "{",
        "gASVCwAAAAAAAACMB2V2aWxzIQ==",
        "\x80\x04\x95",
        "import os",
        "\ufeff{}",
        "{}{}",
        "NaN",
    ],
)
def test_what_is_no_plan_at_all_is_refused(text: str) -> None:
    with pytest.raises(PlanRefused, match="rating plan: "):
        load(text)


@pytest.mark.bad_input("rating plan")
def test_a_list_with_a_plan_in_it_is_refused(plan: RatingPlan) -> None:
    with pytest.raises(PlanRefused, match="the plan: Input should be an object"):
        load(f"[{plan.to_json()}]")


@pytest.mark.bad_input("rating plan")
def test_text_after_the_plan_is_refused(plan: RatingPlan) -> None:
    with pytest.raises(PlanRefused, match="trailing characters"):
        load(plan.to_json() + plan.to_json())


@pytest.mark.bad_input("rating plan")
@pytest.mark.parametrize(
    "value",
    ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000],
    ids=["open brackets", "brackets", "objects"],
)
def test_deep_nesting_is_refused_and_does_not_exhaust_the_stack(plan: RatingPlan, value: str) -> None:
    with pytest.raises(PlanRefused, match="recursion limit"):
        load(value)
    with pytest.raises(PlanRefused, match="recursion limit"):
        load(plan.to_json().replace('"intercept":0.5', f'"intercept":{value}'))


@pytest.mark.bad_input("rating plan")
def test_a_text_that_is_too_large_is_refused_before_anything_else(plan: RatingPlan) -> None:
    text = plan.to_json().replace('"gam"', f'"{"x" * MAX_PLAN_BYTES}"')
    with pytest.raises(PlanRefused, match="larger than 4194304 bytes"):
        RatingPlan.from_json(text, digest="0" * 64)


def test_the_largest_meaningful_numbers_are_accepted(plan: RatingPlan) -> None:
    assert load(changed(plan, _put("intercept", value=1e12))).intercept == 1e12


# --- the same holds where a plan is put together by training -----------------------------------------------------


def test_training_cannot_make_a_plan_that_loading_would_refuse(plan: RatingPlan) -> None:
    with pytest.raises(ValidationError, match="intercept"):
        RatingPlan(**{**dict(plan), "intercept": math.nan})
    with pytest.raises(ValidationError, match="breakpoints must increase"):
        PiecewiseCubic(breakpoints=(1.0, 1.0), coefficients=((0.0,) * 4,) * 3)
    with pytest.raises(ValidationError, match="average"):
        FlagTerm(level=(0.0, 1.0), average=math.inf)


def test_every_feature_has_a_term_and_a_support(plan: RatingPlan) -> None:
    assert plan.terms.keys() == plan.support.keys() == FEATURES.keys()


def test_the_spread_grows_by_the_same_factor_each_month(plan: RatingPlan) -> None:
    assert plan.spread_at(7.0) == plan.spread == 0.45
    growing = plan.model_copy(update={"spread_trend": 0.1})
    assert growing.spread_at(0.0) == 0.45
    assert growing.spread_at(10.0) == pytest.approx(0.45 * math.e)
    assert growing.spread_at(-10.0) == pytest.approx(0.45 / math.e)
