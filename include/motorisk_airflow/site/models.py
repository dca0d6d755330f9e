"""Pages of model versions and of scores."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Response

from motorisk.modelling.card import html
from motorisk.pipelines.card import card_of
from motorisk.pipelines.scoring.page import summary_page
from motorisk.pipelines.scoring.summary import summarise_scores
from motorisk.registry.versions import all_versions
from motorisk_airflow.opening import Pool
from motorisk_airflow.pages import card_page, models_page, overview_page
from motorisk_airflow.site.access import for_readers_of
from motorisk_airflow.site.answers import page

LARGEST = 2**31 - 1
VersionNumber = Annotated[int, Path(ge=1, le=LARGEST)]


def models_router(pool: Pool) -> APIRouter:
    """The list of versions, their cards and plots, and summaries of scores."""
    router = APIRouter()

    @router.get("/models")
    def versions() -> Response:
        with pool.connect() as connection:
            found = all_versions(connection)
        back = ("Motorisk", overview_page())
        return page(html.versions_page(found, card_page, back, script=html.frame_script()))

    @router.get("/models/{version}")
    def card(version: VersionNumber) -> Response:
        with pool.connect() as connection:
            found = card_of(connection, version)
        return page(html.card_page(found, versions=models_page(), script=html.frame_script()))

    @router.get("/models/{version}/plots/{name}.svg")
    def plot(version: VersionNumber, name: str) -> Response:
        with pool.connect() as connection:
            panel = card_of(connection, version).panels.get(name)
        if panel is None:
            raise HTTPException(404)
        image, policy = html.panel_image(panel)
        return page(image, policy=policy, media_type="image/svg+xml")

    @router.get("/scores/{as_of}", dependencies=[for_readers_of("score_portfolio")])
    def scores(as_of: date) -> Response:
        with pool.connect() as connection:
            found = summarise_scores(connection, as_of)
        return page(summary_page(found, script=html.frame_script()))

    return router
