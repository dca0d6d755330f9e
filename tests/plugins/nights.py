"""One night, run for real by Airflow in a process of its own: scores, drift, performance as of a day."""

import sys

from airflow.dag_processing.dagbag import DagBag
from airflow.settings import DAGS_FOLDER

if __name__ == "__main__":
    sys.path.append(DAGS_FOLDER)  # as Airflow does with a bundle's folder
    bag = DagBag(DAGS_FOLDER)
    for dag_id in ("score_portfolio", "report_drift", "report_performance"):
        run = bag.dags[dag_id].test(run_conf={"as_of": sys.argv[1]})
        print(dag_id, run.run_id, run.state, flush=True)  # noqa: T201
