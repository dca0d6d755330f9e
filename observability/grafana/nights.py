"""*Nights*: whether the batch work was done, and what came true."""

from observability.grafana.panels import GREEN, ORANGE, RED, Json, Panel, Query, Row, dashboard

_DAY = 86_400
_STEPS = 'step=~"score|drift|performance"'


def nights() -> Json:
    """The dashboard of nightly work and realised performance."""
    return dashboard(
        "motorisk-nights",
        "Nights",
        "Was last night's work done, on how many policies, and does the model keep what it promised?",
        [
            Panel(
                "Age of the newest night",
                "How long ago the newest day began for which a step was done. Each step is done in the night after its "
                "day: up to 54 hours are fine.",
                [Query(f"motorisk:night_age_seconds:min{{{_STEPS}}}", "{{step}}")],
                kind="stat",
                unit="dtdurations",
                width=12,
                decimals=0,
                steps={54 * 3600: RED},
            ),
            Panel(
                "Open alarms",
                "What the newest night still found: drift of features, or a version that does worse than it promised.",
                [Query("max by (kind) (motorisk_alarms_open)", "{{kind}}")],
                kind="stat",
                width=6,
                decimals=0,
                steps={1: RED},
            ),
            Panel(
                "Champion's knowledge",
                "How long ago the champion's newest policies and outcomes were known; trainings are monthly.",
                [Query("time() - max(motorisk_model_as_of_timestamp_seconds)", "age")],
                kind="stat",
                unit="dtdurations",
                width=6,
                decimals=0,
                steps={35 * _DAY: ORANGE, 62 * _DAY: RED},
            ),
            Row("Nightly work"),
            Panel(
                "Done at",
                "When each step was done for the newest day.",
                [
                    Query(
                        "max by (step) (motorisk_night_last_success_timestamp_seconds) * 1000",
                        "{{step}}",
                    )
                ],
                kind="stat",
                unit="dateTimeAsIso",
                width=24,
            ),
            Panel(
                "Rows of each night",
                "Policies scored, compared for drift, with known outcomes, trained on. Sudden steps want a reason.",
                [Query("max by (step) (motorisk_night_rows)", "{{step}}")],
                low=0,
            ),
            Panel(
                "How long scoring took",
                "Seconds from the plan to the published scores.",
                [Query("max by (step) (motorisk_night_duration_seconds)", "{{step}}")],
                unit="s",
                low=0,
            ),
            Panel(
                "Scored by the rules",
                "Share of the portfolio that the model does not know: the rules priced it.",
                [
                    Query(
                        'max(motorisk_night_scored_policies{predictor="rules"}) '
                        "/ sum(max by (predictor) (motorisk_night_scored_policies))",
                        "by rules",
                    )
                ],
                unit="percentunit",
                low=0,
                steps={0.05: RED},
            ),
            Panel(
                "Policies in quarantine",
                "They have impossible features and no scores; the table `motorisk.score_quarantine` has the reasons.",
                [Query("max(motorisk_night_quarantined_rows)", "quarantined")],
                low=0,
            ),
            Row("What came true"),
            Panel(
                "Realised accuracy",
                "Share of policies whose risk class came true, over the newest twelve months with outcomes, by how "
                "many months before the policy the version's knowledge ended.",
                [Query("max by (horizon) (motorisk_performance_accuracy)", "{{horizon}} months")],
                unit="percentunit",
                high=1,
                decimals=1,
                base=RED,
                steps={0.8: ORANGE, 0.9: GREEN},
            ),
            Panel(
                "Realised less foretold",
                "Realised accuracy less what the version had expected of itself. Below zero it is more sure of itself "
                "than it should be; its own estimate alone tells nothing.",
                [
                    Query(
                        "max by (horizon) (motorisk_performance_accuracy) "
                        "- max by (horizon) (motorisk_performance_estimated_accuracy)",
                        "{{horizon}} months",
                    )
                ],
                unit="percentunit",
                decimals=1,
            ),
            Panel(
                "Policies behind these figures",
                "A few hundred policies are needed before two accuracies differ by more than chance.",
                [Query("max by (horizon) (motorisk_performance_policies)", "{{horizon}} months")],
                low=0,
            ),
            Panel(
                "Alarms, and since when",
                "Open alarms with the day since which what they tell is so.",
                [Query("max by (cause, version) (motorisk_alarm_since_timestamp_seconds) * 1000")],
                kind="table",
                unit="dateTimeAsIso",
                table_labels=("cause", "version"),
            ),
            Row("Airflow (where its metrics are sent)"),
            Panel(
                "Runs that failed",
                "Failed runs of each DAG in the hour before.",
                [Query("sum by (dag_id) (increase(airflow_dagrun_duration_failed_count[1h]))", "{{dag_id}}")],
                low=0,
                decimals=0,
                steps={1: RED},
            ),
            Panel(
                "How long runs take",
                "Mean duration of the successful runs of each DAG in the day before.",
                [
                    Query(
                        "sum by (dag_id) (increase(airflow_dagrun_duration_success_sum[1d])) "
                        "/ (sum by (dag_id) (increase(airflow_dagrun_duration_success_count[1d])) > 0)",
                        "{{dag_id}}",
                    )
                ],
                unit="s",
                low=0,
            ),
            Panel(
                "Tasks running and waiting",
                "Tasks at work, and those that wait for a free place.",
                [
                    Query("sum(airflow_executor_running_tasks)", "running"),
                    Query("sum(airflow_executor_queued_tasks)", "waiting"),
                    Query("max(airflow_scheduler_tasks_starving)", "starving"),
                ],
                low=0,
            ),
            Panel(
                "DAG files with errors",
                "Files that Airflow cannot read; their DAGs do not run.",
                [Query("max(airflow_dag_processing_import_errors)", "files")],
                low=0,
                decimals=0,
                steps={1: RED},
            ),
        ],
        days=30,
    )
