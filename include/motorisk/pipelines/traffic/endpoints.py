"""Where policies can be sent to."""

from enum import StrEnum


class Endpoint(StrEnum):
    """An address of the quote service that takes one driver and vehicle."""

    MOCK = "/predict/mock"
    PREDICT = "/predict/"
    QUOTES = "/v1/quotes"
