"""Everything that Motorisk raises on purpose.

Each class carries the HTTP status that the quote service answers with and a short title; the
message is one clear line that says what is wrong and, where that helps, what to do.
"""

from http import HTTPStatus
from typing import ClassVar


class MotoriskError(Exception):
    """Base of all expected failures; the CLI prints its message and exits with 1."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    title: ClassVar[str] = "Motorisk failed"


class SettingsError(MotoriskError):
    """A setting is unknown, malformed or contradicts another."""

    title = "Wrong setting"


class InvalidData(MotoriskError):
    """Data break their contract. Trying again cannot help."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Invalid data"


class ImportRefused(InvalidData):
    """An import file as a whole cannot be read (its rows are quarantined one by one instead)."""

    title = "Import refused"


class NotEnoughData(InvalidData):
    """There is nothing, or too little, to train on, to score or to compare as of the date."""

    title = "Not enough data"


class GateFailed(MotoriskError):
    """A trained model missed one or more of its gates; the champion stays."""

    status = HTTPStatus.CONFLICT
    title = "Gate failed"


class TransitionRefused(MotoriskError):
    """A model version may not change into the wanted state."""

    status = HTTPStatus.CONFLICT
    title = "Transition refused"


class UnknownVersion(MotoriskError):
    """No model version has this number."""

    status = HTTPStatus.NOT_FOUND
    title = "Unknown model version"


class NoChampion(MotoriskError):
    """No approved model exists yet."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "No champion"


class PlanRefused(MotoriskError):
    """A rating plan's digest, schema or values are wrong; it must not price anything."""

    title = "Rating plan refused"


class NoTariff(MotoriskError):
    """No tariff is in force on the date."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "No tariff"


class UnknownQuote(MotoriskError):
    """No quote has this id."""

    status = HTTPStatus.NOT_FOUND
    title = "Unknown quote"


class AccessRefused(MotoriskError):
    """No key of a client that may ask came with a request."""

    status = HTTPStatus.UNAUTHORIZED
    title = "Access refused"


class TooManyRequests(MotoriskError):
    """A client asks faster than it may."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many requests"


class UnknownClient(MotoriskError):
    """No client, and no key, has this name."""

    status = HTTPStatus.NOT_FOUND
    title = "Unknown client"


class UnknownCustomer(MotoriskError):
    """Nothing here leads to this customer."""

    status = HTTPStatus.NOT_FOUND
    title = "Unknown customer"


class KeyReused(InvalidData):
    """An idempotency key came again with another question."""

    title = "Idempotency-Key reused"


class QuoteNotRecorded(MotoriskError):
    """Neither the ledger nor the journal could keep a quote, so that it must not be answered."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Quote not recorded"


class ReplayDiffers(MotoriskError):
    """Quotes computed again from the ledger are not what was answered."""

    title = "Replay differs"


class EvidenceBroken(MotoriskError):
    """The audit trail or the ledger of quotes is not as it was sealed."""

    title = "Evidence broken"


class ScoringIncomplete(MotoriskError):
    """Scores and portfolio disagree; the earlier scores of the date stay published."""

    title = "Scoring incomplete"


class ScoringRefuted(ScoringIncomplete):
    """All partitions are scored, but what they wrote is not what the portfolio asks for: only a new run helps."""


class ArchiveRefuted(MotoriskError):
    """A file of archived scores is not what the database holds; the scores stay where they are."""

    title = "Archive refuted"


class BackupRefused(MotoriskError):
    """A backup cannot be made or restored as wanted; the databases stay as they are."""

    status = HTTPStatus.CONFLICT
    title = "Backup refused"


class ScoringSuperseded(MotoriskError):
    """Another run scores the date now, or has published it; this one must not touch it any more."""

    status = HTTPStatus.CONFLICT
    title = "Scoring superseded"


class DatabaseUnavailable(MotoriskError):
    """Postgres cannot be reached. Trying again may help."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Database unavailable"


class PermissionMissing(MotoriskError):
    """The database's login may not do what was asked."""

    status = HTTPStatus.FORBIDDEN
    title = "Permission missing"


class SchemaOutdated(MotoriskError):
    """The database's migrations are behind or ahead of this code."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Database schema out of step"


class ClockSkew(MotoriskError):
    """The clocks of this machine and of the database are far apart."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Clocks disagree"


class FolderNotWritable(MotoriskError):
    """Nothing can be written into a folder that the platform keeps files in."""

    title = "Folder not writable"


class PortTaken(MotoriskError):
    """Another program listens on a port that Motorisk was told to use."""

    title = "Port taken"


class ComponentFailed(MotoriskError):
    """A process that the platform runs (Airflow, the quote service) did not come up or died."""

    title = "Component failed"
