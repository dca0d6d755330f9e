"""Evidently's UI on a workspace, for reading: its own has buttons that delete, and knows no roles."""

import json
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_ASKED_BY_POST = re.compile(r"/api/v2/snapshots/[0-9a-f-]{36}/data_series_batch")
"""What panels draw: a question that is too long for an address."""
_RELOAD = re.compile(r"/api/projects/[^/]+/reload/?")
"""Reads every file of a project again: nothing for visitors."""


class ReadOnly:
    """Lets through what only reads; answers everything else with 403."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and _only_reads(scope["method"], scope["path"])):
            await self._application(scope, receive, send)
        elif scope["type"] == "http":
            await _refuse(send)


def _only_reads(method: str, path: str) -> bool:
    if method in {"GET", "HEAD"}:
        return _RELOAD.fullmatch(path) is None
    return method == "POST" and _ASKED_BY_POST.fullmatch(path) is not None


async def _refuse(send: Send) -> None:
    content = json.dumps({"detail": "These reports are for reading: nothing can be changed here."}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def application(place: str) -> Any:
    """Evidently's own application, which would let everybody change a workspace."""
    # Its telemetry would tell the makers what is looked at.
    os.environ["DO_NOT_TRACK"] = "1"
    # Takes seconds to import.
    from evidently.ui.service.app import create_app
    from evidently.ui.service.components.dashboard import DashboardComponent
    from evidently.ui.service.components.storage import LocalStorageComponent
    from evidently.ui.service.components.telemetry import TelemetryComponent
    from evidently.ui.service.local_service import LocalConfig

    configuration = LocalConfig(
        storage=LocalStorageComponent(path=place),
        dashboard=DashboardComponent(path=place),
        telemetry=TelemetryComponent(enabled=False),
    )
    return create_app(configuration)


def serve(place: str, host: str, port: int) -> None:
    """Serve a workspace until SIGTERM or Ctrl-C."""
    import uvicorn

    uvicorn.run(ReadOnly(application(place)), host=host, port=port, log_level="warning")
