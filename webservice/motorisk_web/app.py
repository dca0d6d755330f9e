"""The app: everything is put together here."""

from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from motorisk.settings import Settings
from motorisk.settings import settings as current_settings
from motorisk_web import access, docs, health, metrics, model, page, problems, quotes, request_ids, security, workshop
from motorisk_web.exposure import has_page
from motorisk_web.schemas import Problem
from motorisk_web.services import Services

API_KEY = "api_key"
PUBLIC_TAG = "operations"
_API_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "The API key that the operator gave you (`mtr_…`); the header X-API-Key takes it as well.",
}

EXTENSION = "motorisk"
"""The key of `app.extensions` under which the app's `Services` are."""


def _version() -> str:
    try:
        return version("motorisk")
    except PackageNotFoundError:
        return "0"


class QuoteApp(OpenAPI):
    """The Flask app, described by OpenAPI 3.1."""

    def __init__(self, *, are_keys_required: bool) -> None:
        self._are_keys_required = are_keys_required
        super().__init__(
            "motorisk_web",
            info=Info(title="Motorisk quotes", version=_version()),
            validation_error_model=Problem,
            validation_error_callback=problems.of_validation_error,
            security_schemes={API_KEY: _API_KEY},
            doc_ui=False,  # `docs` serves them: flask-openapi3 would take "/" as well
            static_folder=None,
        )
        self.json.sort_keys = False  # type: ignore[attr-defined]

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No view and no hook is a coroutine; Flask would look at each of them for every request."""
        return func

    def generate_spec_json(self) -> None:
        """Leave out nulls, line breaks and the 422 of operations that validate nothing, all of flask-openapi3."""
        super().generate_spec_json()  # type: ignore[no-untyped-call]
        components = self.spec_json["components"]
        self.spec_json["components"] = {name: part for name, part in components.items() if part is not None}
        for path in self.spec_json["paths"].values():
            for operation in path.values():
                invalid = operation["responses"].get(self.validation_error_status, {})
                if problems.MEDIA_TYPE not in invalid.get("content", {}):
                    operation["responses"].pop(self.validation_error_status, None)
                if PUBLIC_TAG not in operation["tags"]:
                    self._ask_for_key(operation)
                if "description" in operation:
                    operation["description"] = " ".join(operation["description"].split("<br/>")).strip()

    def _ask_for_key(self, operation: dict[str, Any]) -> None:
        """Say that an operation takes a key, or, where access is open, that it may come without one."""
        operation["security"] = [{API_KEY: []}] if self._are_keys_required else [{}, {API_KEY: []}]
        refusals = problems.problem_responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
        operation["responses"] |= {str(int(status)): response for status, response in refusals.items()}


def create_app(settings: Settings | None = None) -> QuoteApp:
    """Build the app; it connects to nothing until `app.extensions["motorisk"].refresher.start()`."""
    settings = settings or current_settings()
    services = Services.from_settings(settings)
    app = QuoteApp(are_keys_required=services.access.are_keys_required)
    app.extensions[EXTENSION] = services
    request_ids.name_requests(app)
    metrics.measure_requests(app, services.measurements)
    access.guard(app, services.access)
    security.secure_answers(app)
    problems.register(app, on_database_error=services.measurements.database_failed)
    for feature in (quotes, model, workshop, health):
        app.register_api(feature.blueprint(services))
    app.register_blueprint(metrics.blueprint(services))
    app.register_blueprint(docs.blueprint(app))
    app.register_blueprint(page.blueprint(services, is_on=has_page(settings)))
    app.generate_spec_json()
    return app
