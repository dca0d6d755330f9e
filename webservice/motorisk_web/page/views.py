"""`/`: the form, and the quote that it makes; nothing else needs to work for either than HTML."""

import logging
from http import HTTPStatus
from importlib.resources import files
from typing import cast

from flask import Blueprint, Response, redirect, render_template, request, send_from_directory, url_for
from werkzeug.exceptions import UnsupportedMediaType

from motorisk.domain.policy import NUMBERS
from motorisk.domain.rating_plan import Support
from motorisk.errors import DatabaseUnavailable, KeyReused, MotoriskError
from motorisk.quoting.quote import Quote
from motorisk.quoting.service import Asked, EffectiveDateRefused, IdempotencyKey
from motorisk.quoting.wording import Language
from motorisk_web.access import PAGE, PAGE_VISITORS
from motorisk_web.answers import JsonAnswer
from motorisk_web.documents import what_if_document
from motorisk_web.language import requested_language
from motorisk_web.page import guard, presenting, wording
from motorisk_web.page.form import KEY, START, Form, new_key
from motorisk_web.schemas import LanguageHeaders, WhatIfRequest
from motorisk_web.services import Services
from motorisk_web.validation import validated

MAX_FORM_BYTES = 16 * 1024
FORM_TYPE = "application/x-www-form-urlencoded"

_log = logging.getLogger(__name__)

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def blueprint(services: Services, *, is_on: bool) -> Blueprint:
    """The page where it is on; else the service's plain address leads to the API's description."""
    page = Blueprint(PAGE, __name__, template_folder="templates")
    if not is_on:

        @page.get("/")
        def start_page() -> Response:
            return cast(Response, redirect(url_for("docs.page")))

        return page

    quoting, measurements = services.quoting, services.measurements
    static = str(files("motorisk_web.page") / "static")

    @page.get("/")
    def empty() -> Response:
        return _page(Form.empty())

    @page.post("/")
    def ask() -> Response:
        if request.mimetype != FORM_TYPE:
            raise UnsupportedMediaType(f"the form is sent as {FORM_TYPE}; programs ask at /v1/quotes")
        request.max_content_length = MAX_FORM_BYTES
        form = Form.read(request.form)
        language = _language()
        if not guard.is_own(request, request.form.get(guard.FIELD)):
            return _page(form, HTTPStatus.FORBIDDEN, notice=wording.WORDS[language].foreign)
        if form.asked is None:
            return _page(form, HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            quote = _quote(form.asked, form.key, language)
        except EffectiveDateRefused:
            return _page(Form(form.values, form.key, wrong=(START,)), HTTPStatus.UNPROCESSABLE_ENTITY)
        except MotoriskError as error:
            _log.warning("a quote of the page failed: %s", error.title)  # its message may hold inputs
            if isinstance(error, DatabaseUnavailable):
                measurements.database_failed()
            return _page(form, error.status, notice=wording.WORDS[language].unavailable)
        if not quote.is_repeated:
            measurements.quote_stored(quote)
        # A new key: what is sent next is a new question. The quote's own page, sent again, has the old one.
        return _page(Form(form.values, new_key()), HTTPStatus.OK, quote=quote)

    @page.post("/what-if")
    @validated()
    def what_if(header: LanguageHeaders, body: WhatIfRequest) -> Response:
        if not guard.is_own(request, request.headers.get(guard.HEADER)):
            raise guard.ForeignRequest("programs ask at /v1/quotes/what-if")
        changes = [(change.feature, float(change.value)) for change in body.changes or ()]
        quote, priced = quoting.what_if(body.asked(), changes, language=requested_language(header.accept_language))
        return JsonAnswer(what_if_document(quote, priced))

    @page.get("/page/<path:name>")
    def asset(name: str) -> Response:
        return send_from_directory(static, name)  # asked for again each time, and answered from the browser's cache

    def _quote(asked: Asked, key: str, language: Language) -> Quote:
        try:
            return quoting.quote(asked, channel="page", language=language, key=IdempotencyKey(PAGE_VISITORS, key))
        except KeyReused:  # gone back, changed something, and sent it again
            return _quote(asked, new_key(), language)

    def _usual() -> dict[str, Support]:
        try:
            return dict(quoting.model().pricer.plan.support)
        except MotoriskError:
            return {}

    def _page(
        form: Form, status: int = HTTPStatus.OK, *, quote: Quote | None = None, notice: str | None = None
    ) -> Response:
        language, token, usual = _language(), guard.token(request), _usual()
        content = render_template(
            "page/quote.html",
            t=wording.WORDS[language],
            language=language,
            form=form,
            key_field=KEY,
            start=START,
            token=token,
            token_field=guard.FIELD,
            hints={name: wording.hint(name, usual.get(name), language) for name in NUMBERS},
            problems={name: wording.problem_with(name, language) for name in form.wrong},
            problems_title=wording.wrong_title(len(form.wrong), language),
            notice=notice,
            quote=quote and presenting.shown(quote, usual, language),
            is_journalled=quote is not None and quote.recorded == "journal",
        )
        headers = {"Content-Security-Policy": _POLICY, "Content-Language": language, "Vary": "Accept-Language"}
        response = Response(content, status, headers, mimetype="text/html")
        guard.remember(response, token, path=f"{request.script_root}/", is_secure=request.is_secure)
        return response

    return page


def _language() -> Language:
    return requested_language(request.headers.get("Accept-Language"))
