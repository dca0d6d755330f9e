"""POST /v1/quotes and GET /v1/quotes/{quote_id}."""

import json
from http import HTTPStatus

from flask import Response, url_for
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from motorisk.quoting.quote import Quote
from motorisk_web.documents import quote_document
from motorisk_web.problems import problem_responses
from motorisk_web.schemas import QuoteDocument, QuotePath, QuoteRequest
from motorisk_web.services import Services

BODY_PROBLEMS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)

_CREATED = {
    "description": "The quote, which is in the ledger",
    "headers": {"Location": {"description": "Where the quote can be read again", "schema": {"type": "string"}}},
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/QuoteDocument"}}},
}


def blueprint(services: Services) -> APIBlueprint:
    """Quotes: made, stored, read back."""
    api = APIBlueprint("quotes", __name__, url_prefix="/v1/quotes", abp_tags=[Tag(name="quotes")])
    quoting, measurements = services.quoting, services.measurements

    @api.post(
        "",
        operation_id="make_quote",
        responses={
            HTTPStatus.CREATED: _CREATED,
            **problem_responses(*BODY_PROBLEMS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE),
        },
    )
    def make_quote(body: QuoteRequest) -> Response:
        """Price a policy with the approved model and put the quote into the ledger.

        The premium is that of the tariff in force on the effective date. Where a feature lies outside what the
        model was trained on, the underwriters' rules answer: then there are no probabilities and no reasons,
        and `fallback` says why. The quote is stored before it is answered; `Location` is where it can be read again.
        """
        quote = quoting.quote(body.features(), body.effective_date, body.reference)
        measurements.quote_stored(quote)
        location = url_for("quotes.read_quote", quote_id=quote.priced.quote_id)
        return _answer(quote, HTTPStatus.CREATED, {"Location": location})

    @api.get(
        "/<uuid:quote_id>",
        operation_id="read_quote",
        responses={
            HTTPStatus.OK: QuoteDocument,
            **problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE),
        },
    )
    def read_quote(path: QuotePath) -> Response:
        """Answer a quote from the ledger, as it was answered when it was made."""
        return _answer(quoting.find(path.quote_id), HTTPStatus.OK)

    return api


def _answer(quote: Quote, status: HTTPStatus, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(quote_document(quote)), status, headers, mimetype="application/json")
