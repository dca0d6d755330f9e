"""`motorisk drift-ui`: the drift reports of all nights in a browser, for reading."""

import sys

from motorisk.commands.output import JsonOption, notices, print_json
from motorisk.errors import FolderNotWritable
from motorisk.ports import authority, require_free_port
from motorisk.settings import settings


def drift_ui(json: JsonOption = False) -> None:
    """Show Evidently's UI on the drift reports, read-only, until stopped (MOTORISK_DRIFT_UI_HOST, _PORT)."""
    from motorisk.monitoring.workspace import Workspace
    from motorisk.monitoring.workspace_page import serve
    from motorisk.pipelines.folders import drift_workspace

    found = settings()
    require_free_port(
        found.drift_ui_host,
        found.drift_ui_port,
        "drift reports",
        "MOTORISK_DRIFT_UI_PORT",
        host_variable="MOTORISK_DRIFT_UI_HOST",
    )
    url = f"http://{authority(found.drift_ui_host, found.drift_ui_port)}"
    if json:
        print_json({"url": url})
        sys.stdout.flush()
    else:
        notices.print(f"Drift reports: {url}", highlight=False)
    place = drift_workspace(found)
    try:
        Workspace(place).prepare()
    except (OSError, FolderNotWritable) as error:  # mounted for reading alone: whoever reports drift writes them
        notices.print(f"Not prepared: {error}", soft_wrap=True, highlight=False, markup=False)
    serve(place, found.drift_ui_host, found.drift_ui_port)
