"""A quote as a line for the ledger, and back."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.risk import ClassProbabilities, RiskClass
from motorisk.domain.tariff import Premium
from motorisk.quoting.quote import CHANNELS, PricedQuote
from motorisk.quoting.rows import COLUMNS, completed, input_line, priced_line, priced_quote
from motorisk.warehouse.tables import quote

amounts = st.decimals(0, 10**6, places=2)
numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
quotes = st.builds(
    PricedQuote,
    quote_id=st.uuids(),
    quoted_at=st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  the strategy adds the zone
    channel=st.sampled_from(CHANNELS),
    reference=st.none() | texts | st.sampled_from(["\\N", "\\", "\\t", "a\tb", "\\\\n\n\r", ""]),
    effective_date=st.dates(),
    features=st.builds(
        PolicyFeatures,
        st.sampled_from([0.0, 1.0]),
        numbers,
        st.sampled_from([0.0, 1.0]),
        numbers,
        numbers,
        numbers,
    ),
    version=st.integers(1, 2**31 - 1),
    digest=st.just("0f" * 32),
    tariff=texts,
    predictor=st.sampled_from(["model", "rules"]),
    risk_class=st.sampled_from(RiskClass),
    expected_risk=st.none() | numbers,
    probabilities=st.builds(ClassProbabilities, st.integers(0, 10**8), st.integers(0, 10**8), st.integers(0, 10**8)),
    premium=st.builds(Premium, amounts, amounts, amounts),
    client=st.none() | texts,
)


@given(made=quotes)
def test_a_line_from_before_clients_had_names_is_nobodys(made: PricedQuote) -> None:
    line = priced_line(made)
    assert completed(line) == line
    assert priced_quote(completed(line.rpartition("\t")[0])) == made._replace(client=None)


def test_a_recorded_input_has_all_columns() -> None:
    moment, features = datetime(2026, 1, 1, tzinfo=UTC), PolicyFeatures(0.0, 35.0, 0.0, 45.0, 90.0, 45.9)
    line = input_line(UUID(int=1), moment, moment.date(), features, None, "broker")
    assert dict(zip(COLUMNS, line.split("\t"), strict=True))["client"] == "broker"


@given(made=quotes)
def test_a_line_reads_back_as_the_quote_that_it_was_written_from(made: PricedQuote) -> None:
    line = priced_line(made)
    assert "\n" not in line
    assert priced_quote(line) == made


def test_a_line_has_all_columns_of_the_ledger() -> None:
    assert set(COLUMNS) == {column.name for column in quote.columns}


def test_the_reference_backslash_n_is_not_taken_for_none() -> None:
    premium = Premium(Decimal("1.00"), Decimal("0.19"), Decimal("1.19"))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    features = PolicyFeatures(0.0, 35.0, 0.0, 45.0, 90.0, 45.9)
    made = PricedQuote(
        UUID(int=1), moment, "quote", "\\N", moment.date(), features, 1, "0" * 64, "standard", "rules",
        RiskClass.LOW, None, ClassProbabilities(10**8, 0, 0), premium,
    )  # fmt: skip
    assert priced_quote(priced_line(made)).reference == "\\N"
