"""/healthz and /readyz."""

from http import HTTPStatus

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from motorisk_web.documents import Document, ready_document
from motorisk_web.problems import problem_responses
from motorisk_web.schemas import HealthDocument, ReadyDocument
from motorisk_web.services import Services


def blueprint(services: Services) -> APIBlueprint:
    """What an orchestrator asks."""
    api = APIBlueprint("health", __name__, abp_tags=[Tag(name="operations")])
    quoting = services.quoting

    @api.get("/healthz", operation_id="health", responses={HTTPStatus.OK: HealthDocument})
    def health() -> Document:
        """Tell that the process answers; restart it where it does not."""
        return {"status": "ok"}

    @api.get(
        "/readyz",
        operation_id="ready",
        responses={HTTPStatus.OK: ReadyDocument, **problem_responses(HTTPStatus.SERVICE_UNAVAILABLE)},
    )
    def ready() -> Document:
        """Tell whether quotes are answered now; send no requests while they are not.

        `degraded`: they are answered, and kept in a journal on this machine until the database is back.
        """
        return ready_document(quoting.readiness())

    return api
