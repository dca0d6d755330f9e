"""POST /v1/quotes, what-if and batch; GET /v1/quotes/{quote_id}."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import ValidationError

from motorisk.errors import InvalidData, MotoriskError
from motorisk.quoting.quote import Quote
from motorisk.quoting.service import Asked, IdempotencyKey
from motorisk.quoting.wording import Language
from motorisk.registry.clients import RESERVED
from motorisk_web.access import current_client
from motorisk_web.answers import JsonAnswer
from motorisk_web.documents import Document, quote_document, what_if_document
from motorisk_web.language import requested_language
from motorisk_web.later import LaterAnswer
from motorisk_web.problems import InvalidRequest, problem_members, problem_responses
from motorisk_web.schemas import (
    BatchDocument,
    BatchRequest,
    LanguageHeaders,
    QuoteDocument,
    QuoteHeaders,
    QuotePath,
    QuoteRequest,
    WhatIfDocument,
    WhatIfRequest,
)
from motorisk_web.services import Services
from motorisk_web.validation import validated

MAX_BATCH_BYTES = 1024 * 1024

BODY_PROBLEMS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_SERVER_PROBLEMS = (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)

_CREATED = {
    "description": "The quote, which is kept durably",
    "headers": {
        "Location": {"description": "Where the quote can be read again", "schema": {"type": "string"}},
        "Idempotency-Replayed": {
            "description": "`true`: an earlier request with this Idempotency-Key made the quote",
            "schema": {"type": "string", "enum": ["true"]},
        },
    },
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/QuoteDocument"}}},
    "links": {
        "read": {
            "description": "The same quote, read again",
            "operationId": "read_quote",
            "parameters": {"quote_id": "$response.body#/quote_id"},
        }
    },
}


class KeyNotTaken(InvalidData):
    """An idempotency key came to an address that knows none: better refused than ignored."""

    title = "Idempotency-Key not taken"


def blueprint(services: Services) -> APIBlueprint:
    """Quotes: made, stored, read back."""
    api = APIBlueprint("quotes", __name__, url_prefix="/v1/quotes", abp_tags=[Tag(name="quotes")])
    quoting, measurements = services.quoting, services.measurements

    @api.post(
        "",
        operation_id="make_quote",
        responses={HTTPStatus.CREATED: _CREATED, **problem_responses(*BODY_PROBLEMS, *_SERVER_PROBLEMS)},
    )
    @validated()
    def make_quote(header: QuoteHeaders, body: QuoteRequest) -> Response:
        """Price a policy with the approved model and put the quote into the ledger.

        The premium is that of the tariff in force on the effective date. Where a feature lies outside what the
        model was trained on, the underwriters' rules answer: then there are no probabilities and no reasons,
        and `fallback` says why. The quote is stored before it is answered; `Location` is where it can be read again.
        """
        name, language = header.idempotency_key, requested_language(header.accept_language)
        client, here = current_client(), f"{request.script_root}/v1/quotes"
        if name is None:
            pending = quoting.begin_quote(body.asked(), language=language, client=client)
            ready = _created(pending.quote, here, language)

            def answer() -> JsonAnswer:
                quote = pending.recorded()
                measurements.quote_stored(quote)
                return ready if quote is pending.quote else _created(quote, here, language)

            return LaterAnswer(pending.recording, answer)
        quote = quoting.quote(
            body.asked(), language=language, key=IdempotencyKey(client or RESERVED, name), client=client
        )
        if quote.is_repeated:
            measurements.quote_repeated()
        else:
            measurements.quote_stored(quote)
        return _created(quote, here, language)

    @api.post(
        "/what-if",
        operation_id="what_if",
        responses={HTTPStatus.OK: WhatIfDocument, **problem_responses(*BODY_PROBLEMS, *_SERVER_PROBLEMS)},
    )
    @validated()
    def what_if(header: LanguageHeaders, body: WhatIfRequest) -> Response:
        """Price a policy, and again with one input changed at a time; nothing is stored."""
        changes = None
        if body.changes is not None:
            changes = [(change.feature, float(change.value)) for change in body.changes]
        language = requested_language(header.accept_language)
        quote, priced = quoting.what_if(body.asked(), changes, language=language)
        return _answer(what_if_document(quote, priced), language)

    @api.post(
        "/batch",
        operation_id="make_quotes",
        responses={HTTPStatus.OK: BatchDocument, **problem_responses(*BODY_PROBLEMS, *_SERVER_PROBLEMS)},
    )
    @validated(max_body_bytes=MAX_BATCH_BYTES)
    def make_quotes(header: LanguageHeaders, body: BatchRequest) -> Response:
        """Price up to 1,000 policies; each is answered or refused by itself, and stored like a single quote."""
        if "Idempotency-Key" in request.headers:
            raise KeyNotTaken("an Idempotency-Key names one quote: ask for it at /v1/quotes")
        asked = [_asked(item) for item in body.quotes]
        language = requested_language(header.accept_language)
        askable = (item for item in asked if isinstance(item, Asked))
        quotes = iter(quoting.quote_many(askable, language=language, client=current_client()))
        answers = [next(quotes) if isinstance(item, Asked) else item for item in asked]
        for answer in answers:
            if isinstance(answer, Quote):
                measurements.quote_stored(answer)
        return _answer(_batch_document(answers), language)

    @api.get(
        "/<uuid:quote_id>",
        operation_id="read_quote",
        responses={
            HTTPStatus.OK: QuoteDocument,
            **problem_responses(HTTPStatus.NOT_FOUND, *_SERVER_PROBLEMS),
        },
    )
    @validated()
    def read_quote(path: QuotePath, header: LanguageHeaders) -> Response:
        """Answer a quote from the ledger, as it was answered when it was made."""
        language = requested_language(header.accept_language)
        quote = quoting.find(path.quote_id, language=language, client=current_client())
        return _answer(quote_document(quote), language)

    return api


def _asked(item: Any) -> Asked | InvalidRequest:
    try:
        return QuoteRequest.model_validate(item).asked()
    except ValidationError as error:
        return InvalidRequest.from_validation(error)


def _batch_document(answers: list[Quote | MotoriskError]) -> Document:
    """A `BatchDocument`."""
    results: list[Document] = []
    for index, answer in enumerate(answers):
        if isinstance(answer, Quote):
            status, quote, problem = HTTPStatus.CREATED, quote_document(answer), None
        else:
            status, quote, problem = answer.status, None, problem_members(answer)
        results.append({"index": index, "status": int(status), "quote": quote, "problem": problem})
    answered = sum(isinstance(answer, Quote) for answer in answers)
    return {"answered": answered, "refused": len(answers) - answered, "results": results}


def _created(quote: Quote, here: str, language: Language) -> JsonAnswer:
    headers = {"Location": f"{here}/{quote.priced.quote_id}"}
    if quote.is_repeated:
        headers["Idempotency-Replayed"] = "true"
    return _answer(quote_document(quote), language, HTTPStatus.CREATED, headers)


def _answer(
    document: Document, language: Language, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> JsonAnswer:
    return JsonAnswer(document, status, {"Content-Language": language, "Vary": "Accept-Language", **(headers or {})})
