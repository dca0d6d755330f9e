"""*Drift*: what drifts, by how much, since when."""

from observability.grafana.panels import GREEN, ORANGE, RED, Json, Panel, Query, Row, dashboard, variable

_OF = 'kind=~"$kind",feature=~"$feature"'
_YES_NO = {0: ("no", GREEN), 1: ("drifts", RED)}
_BY = "by (kind, window, feature)"
_NAME = "{{feature}} ({{kind}})"


def drift() -> Json:
    """The dashboard, under the address that the workshop's links lead to."""
    return dashboard(
        "U54hsxv7k",
        "Evidently Data Drift Dashboard",
        "Are customers still those that the champion was trained on? Quotes window by window, policies month by month.",
        [
            Panel(
                "Dataset drift",
                "Whether the data as a whole drift: at least half of the features do. Quotes are the newest window of "
                "the quote service, policies the newest month that the night looked at.",
                [Query('max by (kind, window) (motorisk_drift_dataset{kind=~"$kind"})', "{{kind}}")],
                kind="stat",
                width=8,
                words=_YES_NO,
                steps={1: RED},
            ),
            Panel(
                "Drifted features",
                "How many of the features drift.",
                [Query('sum by (kind) (max by (kind, feature) (motorisk_drift_drifted{kind=~"$kind"}))', "{{kind}}")],
                kind="stat",
                width=8,
                steps={1: ORANGE, 3: RED},
            ),
            Panel(
                "Last measured",
                "When the newest window or month was measured.",
                [Query('max by (kind) (motorisk_drift_measured_timestamp_seconds{kind=~"$kind"}) * 1000', "{{kind}}")],
                kind="stat",
                unit="dateTimeFromNow",
                width=8,
            ),
            Row("Feature by feature"),
            Panel(
                "How far each feature has moved",
                "The drift score (Evidently's: a normed distance between today's distribution and the reference's; 0 "
                "is no difference at all). On its own it means little: compare it with what chance reaches, beside.",
                [Query(f"max {_BY} (motorisk_drift_score{{{_OF}}})", _NAME)],
                decimals=3,
                low=0,
            ),
            Panel(
                "Score compared with chance",
                "The same, divided by the score that chance alone does not reach with so many rows. From 1 on a single "
                "window is proof enough.",
                [
                    Query(
                        f"max {_BY} (motorisk_drift_score{{{_OF}}}) / max {_BY} (motorisk_drift_threshold{{{_OF}}})",
                        _NAME,
                    )
                ],
                decimals=2,
                low=0,
                steps={0.8: ORANGE, 1: RED},
            ),
            Panel(
                "Which features drift, and since when",
                "Red: the feature drifts, by one window or by what many add up to. It stays red until the newest "
                "windows say for long enough that it is over.",
                [Query(f"max {_BY} (motorisk_drift_drifted{{{_OF}}})", _NAME)],
                kind="state-timeline",
                width=24,
                words=_YES_NO,
                steps={1: RED},
            ),
            Panel(
                "Evidence of all windows together",
                "What no single window shows adds up: evidence as a share of what convinces (on a scale of powers of "
                "ten). From 1 on the feature drifts.",
                [
                    Query(
                        f"max {_BY} (log10(motorisk_drift_evidence{{{_OF}}} > 0)) "
                        f"/ max {_BY} (log10(motorisk_drift_evidence_threshold{{{_OF}}} > 1))",
                        _NAME,
                    )
                ],
                decimals=2,
                steps={1: RED},
            ),
            Panel(
                "Absurd and missing values",
                "Values far outside the reference (a wrong unit, a typing error), and rows without a value, as a share "
                "of the rows. They do not move the score.",
                [
                    Query(
                        f"max {_BY} (motorisk_drift_outliers{{{_OF}}}) "
                        '/ on (kind, window) group_left () max by (kind, window) (motorisk_drift_rows{kind=~"$kind"})',
                        "{{feature}} absurd ({{kind}})",
                    ),
                    Query(
                        f"max {_BY} (motorisk_drift_missing{{{_OF}}}) "
                        '/ on (kind, window) group_left () max by (kind, window) (motorisk_drift_rows{kind=~"$kind"})',
                        "{{feature}} missing ({{kind}})",
                    ),
                ],
                unit="percentunit",
                low=0,
                steps={0.01: RED},
            ),
            Row("The workshop's gauges: whichever was measured last"),
            Panel(
                "Drift score by column",
                "As in the workshop: scores of the newest measurement, of quotes or of policies.",
                [Query("max by (feature) (drift_score_by_columns)", "{{feature}}")],
                decimals=3,
                low=0,
            ),
            Panel(
                "Share of drifted columns",
                "Share of the features that drift; from one half on the dataset does.",
                [
                    Query("max(share_of_drifted_columns)", "share"),
                    Query("max(number_of_drifted_columns) / max(number_of_columns)", "drifted of all"),
                    Query("max(dataset_drift)", "dataset drifts"),
                ],
                unit="percentunit",
                low=0,
                high=1,
                steps={0.5: RED},
            ),
            Row("Live windows"),
            Panel(
                "Quotes that wait for a window",
                "They wait until a window is full. A line that only rises means that `motorisk monitor` does not run.",
                [Query("max(motorisk_monitor_waiting_quotes)", "waiting")],
                low=0,
                steps={3000: RED},
            ),
            Panel(
                "Rows of the newest window",
                "Fewer rows, fewer certainties: thresholds are those of so many rows.",
                [Query('max by (kind, window) (motorisk_drift_rows{kind=~"$kind"})', "{{kind}} ({{window}})")],
                low=0,
            ),
        ],
        variables=[
            variable("kind", "Data", "label_values(motorisk_drift_score, kind)"),
            variable("feature", "Feature", "label_values(motorisk_drift_score, feature)"),
        ],
        days=30,
    )
