"""The quote service's page for people, at `/`: rendered on the server, complete without JavaScript."""

from motorisk_web.page.views import blueprint

__all__ = ["blueprint"]
