"""POST /predict/ and /predict/mock: the workshop's older API, to the letter, with and without the last slash."""

from http import HTTPStatus

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from motorisk_web.access import current_client
from motorisk_web.answers import JsonAnswer
from motorisk_web.documents import prediction_document
from motorisk_web.later import LaterAnswer
from motorisk_web.problems import problem_responses
from motorisk_web.quotes import BODY_PROBLEMS
from motorisk_web.schemas import QuoteRequest, WorkshopPrediction
from motorisk_web.services import Services
from motorisk_web.validation import validated


def blueprint(services: Services) -> APIBlueprint:
    """Predictions of the risk class, without a price."""
    api = APIBlueprint("workshop", __name__, url_prefix="/predict", abp_tags=[Tag(name="workshop")])
    quoting, measurements = services.quoting, services.measurements
    problems = problem_responses(*BODY_PROBLEMS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
    nothing = {"description": "OK", "content": {"application/json": {"schema": {"type": "null"}}}}

    @api.post("", doc_ui=False)
    @api.post("/", operation_id="predict", responses={HTTPStatus.OK: WorkshopPrediction, **problems})
    @validated()
    def predict(body: QuoteRequest) -> Response:
        """Predict the risk class of a policy; the older API, kept for its clients."""
        pending = quoting.begin_quote(body.asked(), channel="predict", client=current_client())
        ready = JsonAnswer(prediction_document(pending.quote.priced))

        def answer() -> JsonAnswer:
            measurements.quote_stored(pending.recorded())
            return ready

        return LaterAnswer(pending.recording, answer)

    @api.post("/mock/", doc_ui=False)
    @api.post("/mock", operation_id="predict_mock", responses={HTTPStatus.OK: nothing, **problems})
    @validated()
    def predict_mock(body: QuoteRequest) -> Response:
        """Record an input for drift monitoring without pricing it; answers null."""
        quoting.record_input(body.asked(), client=current_client())
        return JsonAnswer(None)

    return api
