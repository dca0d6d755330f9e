"""GET /v1/model."""

from http import HTTPStatus

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from motorisk_web.documents import Document, model_document
from motorisk_web.problems import problem_responses
from motorisk_web.schemas import ModelDocument
from motorisk_web.services import Services


def blueprint(services: Services) -> APIBlueprint:
    """The model that prices quotes."""
    api = APIBlueprint("model", __name__, url_prefix="/v1/model", abp_tags=[Tag(name="model")])
    quoting = services.quoting

    @api.get(
        "",
        operation_id="read_model",
        responses={
            HTTPStatus.OK: ModelDocument,
            **problem_responses(HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE),
        },
    )
    def read_model() -> Document:
        """Tell which model prices quotes: its version, who approved it, how good it is and what it knows."""
        return model_document(quoting.model())

    return api
