"""*Quotes*: whether customers get their prices, how fast, and which."""

from observability.grafana.panels import GREEN, ORANGE, RED, Json, Panel, Query, Row, dashboard

_QUOTES = 'route=~"/v1/quotes|/predict/?",method="POST"'
_BUCKETS = f"sum by (le) (rate(motorisk_http_request_duration_seconds_bucket{{{_QUOTES}}}[$__rate_interval]))"
_ALL = "sum(rate(motorisk_quotes_total[$__rate_interval]))"


def quotes() -> Json:
    """The dashboard of the quote service."""
    return dashboard(
        "motorisk-quotes",
        "Quotes",
        "Do customers get their prices, how fast, and which?",
        [
            Panel(
                "Service",
                "Whether Prometheus reaches the quote service.",
                [Query('min(up{job="motorisk-quotes"})')],
                kind="stat",
                width=4,
                base=RED,
                steps={1: GREEN},
                words={0: ("down", RED), 1: ("up", GREEN)},
            ),
            Panel(
                "Champion",
                "The version of the model that prices quotes.",
                [Query("max(motorisk_model_version)", "version")],
                kind="stat",
                width=4,
                decimals=0,
            ),
            Panel(
                "Failed, last hour",
                "Share of quotes that got an error of ours. The objective allows 0.1 % in thirty days.",
                [Query("job:motorisk_quote_errors:ratio_rate1h")],
                kind="stat",
                unit="percentunit",
                width=4,
                decimals=2,
                steps={0.001: ORANGE, 0.0144: RED},
            ),
            Panel(
                "Slower than 0.1 s, last hour",
                "The objective allows 1 % in thirty days.",
                [Query("job:motorisk_quote_slow:ratio_rate1h")],
                kind="stat",
                unit="percentunit",
                width=4,
                decimals=2,
                steps={0.01: ORANGE, 0.144: RED},
            ),
            Panel(
                "By rules, last hour",
                "Share of quotes outside what the model was trained on: the rules priced them.",
                [Query("job:motorisk_quote_fallbacks:ratio_rate1h")],
                kind="stat",
                unit="percentunit",
                width=4,
                decimals=1,
                steps={0.05: RED},
            ),
            Panel(
                "In the journal",
                "Quotes that are safe on disk and not in the database yet.",
                [Query("sum(motorisk_quote_journal_pending)")],
                kind="stat",
                width=4,
                decimals=0,
                steps={1: ORANGE, 1000: RED},
            ),
            Row("Traffic"),
            Panel(
                "Requests by answer",
                "Quotes and predictions a second, by HTTP status: 201 and 200 are prices, 4xx mistakes of the caller, "
                "5xx ours.",
                [
                    Query(
                        f"sum by (status) (rate(motorisk_http_requests_total{{{_QUOTES}}}[$__rate_interval]))",
                        "{{status}}",
                    )
                ],
                unit="reqps",
                low=0,
            ),
            Panel(
                "How long a quote takes",
                "Half of the quotes are faster than the lowest line, 99 of 100 faster than the highest.",
                [
                    Query(f"histogram_quantile(0.5, {_BUCKETS})", "half"),
                    Query(f"histogram_quantile(0.95, {_BUCKETS})", "95 of 100"),
                    Query(f"histogram_quantile(0.99, {_BUCKETS})", "99 of 100"),
                ],
                unit="s",
                low=0,
                steps={0.1: RED},
            ),
            Panel(
                "Error budget: failures",
                "How fast the thirty days' budget of failures is used up: at 1 it just lasts, at 14.4 it is gone in "
                "two days and somebody is called.",
                [
                    Query("job:motorisk_quote_errors:ratio_rate5m / 0.001", "last 5 minutes"),
                    Query("job:motorisk_quote_errors:ratio_rate1h / 0.001", "last hour"),
                    Query("job:motorisk_quote_errors:ratio_rate6h / 0.001", "last 6 hours"),
                ],
                low=0,
                decimals=1,
                steps={1: ORANGE, 14.4: RED},
            ),
            Panel(
                "Error budget: slow quotes",
                "The same for quotes that take longer than 0.1 s.",
                [
                    Query("job:motorisk_quote_slow:ratio_rate5m / 0.01", "last 5 minutes"),
                    Query("job:motorisk_quote_slow:ratio_rate1h / 0.01", "last hour"),
                    Query("job:motorisk_quote_slow:ratio_rate6h / 0.01", "last 6 hours"),
                ],
                low=0,
                decimals=1,
                steps={1: ORANGE, 14.4: RED},
            ),
            Row("Prices"),
            Panel(
                "Risk classes",
                "Share of the quotes in each class. A shift without a new champion is a shift of the customers.",
                [
                    Query(
                        "sum by (risk_class) (rate(motorisk_quotes_total[$__rate_interval])) "
                        f"/ on () group_left () {_ALL}",
                        "{{risk_class}}",
                    )
                ],
                unit="percentunit",
                low=0,
                high=1,
            ),
            Panel(
                "Gross premium a year",
                "Mean and median of the premiums quoted.",
                [
                    Query(
                        "sum(rate(motorisk_quote_gross_premium_sum[$__rate_interval])) "
                        "/ sum(rate(motorisk_quote_gross_premium_count[$__rate_interval]))",
                        "mean",
                    ),
                    Query(
                        "histogram_quantile(0.5, "
                        "sum by (le) (rate(motorisk_quote_gross_premium_bucket[$__rate_interval])))",
                        "median",
                    ),
                ],
                unit="currencyEUR",
                low=0,
                decimals=0,
            ),
            Panel(
                "Why the rules answered",
                "By feature: values outside what the model was trained on, a second.",
                [Query("sum by (feature) (rate(motorisk_quote_fallbacks_total[$__rate_interval]))", "{{feature}}")],
                unit="cps",
                low=0,
            ),
            Panel(
                "Quotes by channel",
                "Where they came from, a second.",
                [Query("sum by (channel) (rate(motorisk_quotes_total[$__rate_interval]))", "{{channel}}")],
                unit="cps",
                low=0,
            ),
            Row("Under the bonnet"),
            Panel(
                "Rows a commit",
                "Requests that arrive together share one transaction: more rows a commit under more load is as it "
                "should be.",
                [
                    Query(
                        "sum by (recorded) (rate(motorisk_recorder_batch_rows_sum[$__rate_interval])) "
                        "/ (sum by (recorded) (rate(motorisk_recorder_batch_rows_count[$__rate_interval])) > 0)",
                        "into the {{recorded}}",
                    )
                ],
                low=0,
                decimals=1,
            ),
            Panel(
                "Troubles",
                "A second: requests that Postgres failed, rows that went into the journal, looks into the registry "
                "that failed, repeated keys.",
                [
                    Query("sum(rate(motorisk_database_errors_total[$__rate_interval]))", "database errors"),
                    Query("sum(rate(motorisk_quotes_journalled_total[$__rate_interval]))", "into the journal"),
                    Query("sum(rate(motorisk_champion_refresh_failures_total[$__rate_interval]))", "registry"),
                    Query("sum(rate(motorisk_quotes_repeated_total[$__rate_interval]))", "repeated keys"),
                ],
                unit="cps",
                low=0,
            ),
            Panel(
                "Refused requests",
                "A second: without a valid key, or faster than agreed.",
                [
                    Query(
                        "sum by (reason) (rate(motorisk_http_requests_unauthorized_total[$__rate_interval]))",
                        "key {{reason}}",
                    ),
                    Query(
                        "sum by (client) (rate(motorisk_http_requests_rate_limited_total[$__rate_interval]))",
                        "{{client}} too fast",
                    ),
                ],
                unit="reqps",
                low=0,
            ),
            Panel(
                "Model in use",
                "Which version, trained by which candidate, as of when.",
                [Query("max by (version, candidate, as_of) (motorisk_model_info)")],
                kind="table",
                table_labels=("version", "candidate", "as_of"),
            ),
        ],
        days=1,
    )
