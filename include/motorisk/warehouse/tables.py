"""The tables, as SQLAlchemy Core sees them. The migrations' SQL creates them; a test compares the two."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from motorisk.domain.policy import FEATURES

metadata = MetaData()

_MONEY = Numeric(12, 2)


def _feature_columns() -> list[Column[object]]:
    return [Column(name, Boolean if feature.is_flag else Double, nullable=False) for name, feature in FEATURES.items()]


policy = Table(
    "policy",
    metadata,
    Column("policy_id", Text, primary_key=True),
    Column("customer_id", Text),
    Column("effective_date", Date, nullable=False),
    Column("expiry_date", Date, nullable=False),
    *_feature_columns(),
    comment="What the insurer's policy system knows of each policy; the platform only reads it",
    schema="insurance",
)

outcome = Table(
    "outcome",
    metadata,
    Column("policy_id", Text, primary_key=True),
    Column("risk", Double, nullable=False),
    Column("observed_on", Date, nullable=False),
    comment="The risk index that came true, and the day from which on it was known",
    schema="insurance",
)

model_version = Table(
    "model_version",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("as_of", Date, nullable=False),
    Column("digest", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("snapshot_digest", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("metrics", JSONB, nullable=False),
    Column("gates", JSONB, nullable=False),
    Column("backtest", JSONB, nullable=False),
    Column("evaluation", JSONB, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("provenance", JSONB, nullable=False),
    Column("trained_by", Text, nullable=False),
    Column("trained_at", DateTime(timezone=True), nullable=False),
    Column("approved_by", Text),
    Column("approved_at", DateTime(timezone=True)),
    comment="Every model that was ever trained: its rating plan, figures, gates and state",
    schema="motorisk",
)

model_event = Table(
    "model_event",
    metadata,
    Column("model_event_id", BigInteger, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("event", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("comment", Text),
    Column("details", JSONB, nullable=False),
    Column("happened_at", DateTime(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    comment="The audit trail: who did what to which version, and why; it only grows",
    schema="motorisk",
)

tariff = Table(
    "tariff",
    metadata,
    Column("name", Text, primary_key=True),
    Column("valid_from", Date, nullable=False),
    Column("base_premium", _MONEY, nullable=False),
    Column("factor_low", Numeric(6, 3), nullable=False),
    Column("factor_medium", Numeric(6, 3), nullable=False),
    Column("factor_high", Numeric(6, 3), nullable=False),
    Column("tax_rate", Numeric(5, 4), nullable=False),
    Column("currency", Text, nullable=False),
    comment="What a year costs by risk class, from which day on",
    schema="motorisk",
)

_PRICE_COLUMNS = (
    ("predictor", Text, False),
    ("risk_class", Text, False),
    ("expected_risk", Double, True),
    ("p_low", Integer, False),
    ("p_medium", Integer, False),
    ("p_high", Integer, False),
    ("net", _MONEY, False),
    ("insurance_tax", _MONEY, False),
    ("gross", _MONEY, False),
)


def _price_columns() -> list[Column[object]]:
    return [Column(name, kind, nullable=nullable) for name, kind, nullable in _PRICE_COLUMNS]


score = Table(
    "score",
    metadata,
    Column("as_of", Date, primary_key=True),
    Column("policy_id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("tariff", Text, nullable=False),
    *_price_columns(),
    Column("net_before", _MONEY),
    Column("class_before", Text),
    Column("capped", Boolean, nullable=False),
    comment="Each policy in force on a date with its class and premium; a partition a date",
    schema="motorisk",
)

score_run = Table(
    "score_run",
    metadata,
    Column("as_of", Date, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("tariff", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("by_predictor", JSONB, nullable=False),
    Column("by_class", JSONB, nullable=False),
    Column("net_total", Numeric(16, 2), nullable=False),
    Column("seconds", Double, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    Column("run_id", BigInteger, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("partitions", Integer, nullable=False),
    Column("renewals", Integer, nullable=False),
    Column("capped", Integer, nullable=False),
    Column("class_changed", Integer, nullable=False),
    Column("renewal_cap", Numeric(6, 4)),
    Column("before", Date),
    Column("archive", Text),
    Column("archived_at", DateTime(timezone=True)),
    comment="The published scoring of each date, in figures",
    schema="motorisk",
)

score_plan = Table(
    "score_plan",
    metadata,
    Column("as_of", Date, primary_key=True),
    Column("run_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("tariff", Text, nullable=False),
    Column("prices", Text, nullable=False),
    Column("planned_at", DateTime(timezone=True), nullable=False),
    Column("renewal_cap", Numeric(6, 4)),
    Column("before", Date),
    Column("before_run", BigInteger),
    comment="A date's scoring that is under way, and what it works with, so that it can be taken up again",
    schema="motorisk",
)

score_part = Table(
    "score_part",
    metadata,
    Column("run_id", BigInteger, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("low", Text),
    Column("high", Text),
    Column("estimated_rows", Integer, nullable=False),
    Column("rows", Integer),
    Column("quarantined", Integer),
    Column("by_predictor", JSONB(none_as_null=True)),
    Column("by_class", JSONB(none_as_null=True)),
    Column("net_cents", BigInteger),
    Column("gross_cents", BigInteger),
    Column("p_low", BigInteger),
    Column("p_high", BigInteger),
    Column("seconds", Double),
    Column("finished_at", DateTime(timezone=True)),
    Column("renewals", Integer),
    Column("capped", Integer),
    Column("class_changed", Integer),
    comment="The ranges of policies of a scoring, and what is done of them",
    schema="motorisk",
)

score_quarantine = Table(
    "score_quarantine",
    metadata,
    Column("as_of", Date, primary_key=True),
    Column("run_id", BigInteger, primary_key=True),
    Column("policy_id", Text, primary_key=True),
    Column("reasons", ARRAY(Text), nullable=False),
    comment="Policies in force that could not be scored, and why",
    schema="motorisk",
)

quote = Table(
    "quote",
    metadata,
    Column("quoted_at", DateTime(timezone=True), primary_key=True),
    Column("quote_id", Uuid, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("reference", Text),
    Column("effective_date", Date, nullable=False),
    *_feature_columns(),
    Column("version", Integer),
    Column("digest", Text),
    Column("tariff", Text),
    *[Column(name, kind) for name, kind, _ in _PRICE_COLUMNS],
    Column("client", Text),
    comment="The ledger: every quote, stored before it is answered; it only grows, a partition a month",
    schema="motorisk",
)

quote_key = Table(
    "quote_key",
    metadata,
    Column("client", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("quote_id", Uuid, nullable=False),
    Column("quoted_at", DateTime(timezone=True), nullable=False),
    comment="Which quote answered a client's Idempotency-Key",
    schema="motorisk",
)

quote_seal = Table(
    "quote_seal",
    metadata,
    Column("seal_id", BigInteger, primary_key=True),
    Column("hour", DateTime(timezone=True), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("late", Integer, nullable=False),
    Column("quote_ids", LargeBinary, nullable=False),
    Column("row_digests", LargeBinary, nullable=False),
    Column("salts", LargeBinary),
    Column("events", BigInteger, nullable=False),
    Column("event_digest", Text, nullable=False),
    Column("sealed_at", DateTime(timezone=True), nullable=False),
    Column("digest", Text, nullable=False),
    comment="Seals over the ledger, an hour of quotes each, chained: what was changed, removed or inserted since shows",
    schema="motorisk",
)

erasure = Table(
    "erasure",
    metadata,
    Column("erasure_id", BigInteger, primary_key=True),
    Column("erased_by", Text, nullable=False),
    Column("erased_at", DateTime(timezone=True), nullable=False),
    Column("comment", Text),
    Column("subject", Text),
    Column("erased", JSONB, nullable=False),
    comment="Customers who were erased on request: by whom, when and how much, not who",
    schema="motorisk",
)

erased_reference = Table(
    "erased_reference",
    metadata,
    Column("quoted_at", DateTime(timezone=True), primary_key=True),
    Column("quote_id", Uuid, primary_key=True),
    Column("erasure_id", BigInteger, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    comment="Quotes whose reference an erasure took, and what stands in its place in the seals",
    schema="motorisk",
)

api_key = Table(
    "api_key",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("client", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("rate", Double),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_on", Date),
    Column("revoked_by", Text),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_on", Date),
    comment="Keys of the quote service's clients, by their SHA-256 alone",
    schema="motorisk",
)

shadow = Table(
    "shadow",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("looked_to", DateTime(timezone=True), nullable=False),
    Column("started_by", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("stopped_at", DateTime(timezone=True)),
    comment="Challengers that price every quote again beside the champion",
    schema="motorisk",
)

shadow_quote = Table(
    "shadow_quote",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("quoted_at", DateTime(timezone=True), primary_key=True),
    Column("quote_id", Uuid, primary_key=True),
    *_price_columns(),
    comment="What a challenger would have answered to a quote",
    schema="motorisk",
)

drift_run = Table(
    "drift_run",
    metadata,
    Column("as_of", Date, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("month", Date, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("reference_rows", Integer, nullable=False),
    Column("dataset_drift", Boolean, nullable=False),
    Column("drifted_share", Double, nullable=False),
    Column("report", Text, nullable=False),
    Column("measured_at", DateTime(timezone=True), nullable=False),
    Column("windows", Integer, nullable=False),
    Column("kind", Text, primary_key=True, server_default="policies"),
    comment="What was measured against the champion's reference on a date: policies, quotes and scores",
    schema="motorisk",
)


def _drift_columns(*, is_complete: bool) -> list[Column[object]]:
    """A feature's figures; nights before they were measured have none of those after `drifted`."""
    return [
        Column("score", Double, nullable=False),
        Column("method", Text, nullable=False),
        Column("threshold", Double, nullable=False),
        Column("drifted", Boolean, nullable=False),
        Column("rows", Integer, nullable=not is_complete),
        Column("missing", Integer, nullable=not is_complete),
        Column("more_missing", Boolean, nullable=not is_complete),
        Column("outliers", Integer, nullable=not is_complete),
        Column("evidence", Double),
        Column("evidence_threshold", Double),
        Column("since", Date),
        Column("since_earliest", Date),
        Column("since_latest", Date),
        Column("per_month", Double),
        Column("passes", Date),
        Column("passes_earliest", Date),
        Column("passes_latest", Date),
        Column("says", Text, nullable=not is_complete),
    ]


drift_metric = Table(
    "drift_metric",
    metadata,
    Column("as_of", Date, primary_key=True),
    Column("feature", Text, primary_key=True),
    *_drift_columns(is_complete=False),
    Column("kind", Text, primary_key=True, server_default="policies"),
    comment="Each feature's drift in such a run",
    schema="motorisk",
)

drift_reading = Table(
    "drift_reading",
    metadata,
    Column("as_of", Date, primary_key=True),
    Column("feature", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("says", Text, nullable=False),
    Column("reading", JSONB, nullable=False),
    comment="What a night says of each feature that drifts: what it means, costs and asks for",
    schema="motorisk",
)

drift_threshold = Table(
    "drift_threshold",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("feature", Text, primary_key=True),
    Column("rows", Integer, primary_key=True),
    Column("budget", Integer, primary_key=True),
    Column("threshold", Double, nullable=False),
    comment="Scores that chance alone does not reach, by version, size and budget; computed once",
    schema="motorisk",
)

drift_inbox = Table(
    "drift_inbox",
    metadata,
    Column("arrival", BigInteger, primary_key=True),
    Column("quote_id", Uuid, nullable=False),
    Column("quoted_at", DateTime(timezone=True), nullable=False),
    Column("arrived_at", DateTime(timezone=True), nullable=False),
    comment="Quotes that are in no window of the monitor yet",
    schema="motorisk",
)

drift_window = Table(
    "drift_window",
    metadata,
    Column("window_id", BigInteger, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("first_quoted_at", DateTime(timezone=True), nullable=False),
    Column("last_quoted_at", DateTime(timezone=True), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("dataset_drift", Boolean, nullable=False),
    Column("drifted_share", Double, nullable=False),
    Column("figures", JSONB, nullable=False),
    Column("quote_ids", ARRAY(Uuid), nullable=False),
    Column("measured_at", DateTime(timezone=True), nullable=False),
    comment="Windows of quotes that the monitor measured",
    schema="motorisk",
)

drift_window_metric = Table(
    "drift_window_metric",
    metadata,
    Column("window_id", BigInteger, primary_key=True),
    Column("feature", Text, primary_key=True),
    *_drift_columns(is_complete=True),
    comment="Each feature's drift in such a window",
    schema="motorisk",
)

performance = Table(
    "performance",
    metadata,
    Column("month", Date, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("as_of", Date, nullable=False),
    Column("policies", Integer, nullable=False),
    Column("estimated_accuracy", Double),
    Column("rows", Integer, nullable=False),
    Column("accuracy", Double),
    Column("log_loss", Double),
    Column("by_model", Integer, nullable=False),
    Column("rmse", Double),
    Column("bias", Double),
    Column("calibration_error", Double),
    Column("actual", JSONB(none_as_null=True)),
    Column("expected", JSONB(none_as_null=True)),
    Column("measured_at", DateTime(timezone=True), nullable=False),
    comment="What versions foretold against what came true, by month of effective date",
    schema="motorisk",
)

alarm = Table(
    "alarm",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("cause", Text, primary_key=True),
    Column("as_of", Date, nullable=False),
    Column("since", Date, nullable=False),
    Column("last_seen", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("e_value", Double),
    Column("threshold", Double),
    Column("raised_at", DateTime(timezone=True), nullable=False),
    Column("asked_at", DateTime(timezone=True)),
    comment="What speaks against a served version, and whether a training was asked for because of it",
    schema="motorisk",
)

training_configuration = Table(
    "training_configuration",
    metadata,
    Column("number", BigInteger, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("content", JSONB, nullable=False),
    Column("bundle_version", Text),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("asked_at", DateTime(timezone=True)),
    Column("training_run", Text),
    comment="Training configurations that were in force, one row a change, and the training that each has led to",
    schema="motorisk",
)

quarantined_row = Table(
    "quarantined_row",
    metadata,
    Column("source_digest", Text, primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("reasons", ARRAY(Text), nullable=False),
    Column("content", Text, nullable=False),
    Column("quarantined_at", DateTime(timezone=True), nullable=False),
    comment="Rows of import files that break the contract, with their line and reasons",
    schema="motorisk",
)
