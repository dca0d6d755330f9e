"""/openapi.json, and /docs: Swagger UI from this machine's files, nothing from a CDN."""

from importlib.resources import files

from flask import Blueprint, Response, render_template, send_from_directory
from flask_openapi3.openapi import OpenAPI

ASSET_SECONDS = 86400

# Swagger UI sets style attributes and draws its icons from data: addresses; all scripts are files of ours.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def blueprint(app: OpenAPI) -> Blueprint:
    """The description of the API, for programs and for people."""
    docs = Blueprint("docs", __name__, template_folder="templates")
    swagger_ui = str(files("flask_openapi3_swagger") / "templates" / "swagger")
    own = str(files("motorisk_web") / "static")

    @docs.get("/openapi.json")
    def openapi() -> dict[str, object]:
        return app.api_doc

    @docs.get("/docs")
    @docs.get("/docs/")
    def page() -> Response:
        return Response(render_template("docs.html"), headers={"Content-Security-Policy": _POLICY})

    @docs.get("/docs/assets/<path:name>")
    def swagger_asset(name: str) -> Response:
        return send_from_directory(swagger_ui, name, max_age=ASSET_SECONDS)

    @docs.get("/docs/start.js")
    def start() -> Response:
        return send_from_directory(own, "docs.js", max_age=ASSET_SECONDS)

    return docs
