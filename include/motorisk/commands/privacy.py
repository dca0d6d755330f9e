"""What customers may ask for, and what analysts may get: erasing and pseudonymous exports."""

from pathlib import Path
from typing import Annotated

import typer

from motorisk.commands.opening import warehouse
from motorisk.commands.options import AsOfOption, ByOption
from motorisk.commands.output import JsonOption, console, notices, print_json, progress_bar
from motorisk.domain.pseudonym import pseudonym
from motorisk.errors import SettingsError
from motorisk.settings import settings


def erase(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id in the policy system.")],
    by: ByOption,
    comment: Annotated[str | None, typer.Option("--comment", help="Why; kept, so without the customer's id.")] = None,
    json: JsonOption = False,
) -> None:
    """Erase a customer: what leads to the person goes, every figure stays, and the ledger can still be verified."""
    from motorisk.pipelines.erasing import erase_customer
    from motorisk.pipelines.folders import score_archive

    key = settings().pseudonym_key
    done = erase_customer(
        warehouse(),
        customer,
        by=by,
        archive=score_archive(settings()),
        comment=comment,
        subject=None if key is None else pseudonym(key.get_secret_value(), "customer", customer),
    )
    if json:
        print_json(done)
        return
    erased = done.erased
    console.print(
        f"Erasure {done.erasure_id}: {erased.policies:,} policies, {erased.outcomes:,} outcomes, {erased.scores:,} "
        f"scores, {erased.quotes:,} quotes, {erased.quarantined:,} refused lines and {erased.archives:,} archives."
    )
    if erased.in_force:
        notices.print(
            f"{erased.in_force:,} of the policies are in force: as long as the policy system knows them, the next "
            "import brings them back."
        )


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="CSV file to write; `.gz`: compressed.")],
    as_of: AsOfOption,
    json: JsonOption = False,
) -> None:
    """Write policies and outcomes with pseudonyms for ids, the same in every export with the same key."""
    from motorisk.pipelines.export import export_policies

    key = settings().pseudonym_key
    if key is None:
        raise SettingsError("set MOTORISK_PSEUDONYM_KEY to a secret of at least 32 characters (`openssl rand -hex 32`)")
    with progress_bar("Exporting", quiet=json) as progress:
        try:
            done = export_policies(warehouse(), file, as_of, key.get_secret_value(), progress)
        except OSError as error:  # it names the file that becomes the export when it is whole
            raise OSError(error.errno, error.strerror, str(file)) from None
    if json:
        print_json(done)
    else:
        console.print(
            f"{done.rows:,} policies in {done.file}, under the key {done.key}.", markup=False, highlight=False
        )
