"""What waits in the journal: keys are one quote's there too, and all of it reaches the ledger once."""

from pathlib import Path

from sqlalchemy import Engine, func, select
from tests.integration.quoting.entries import make_entry

from motorisk.quoting.backlog import Backlog
from motorisk.quoting.journal import journal_files
from motorisk.quoting.ledger import KeyHolder, LedgerSession
from motorisk.warehouse.tables import quote, quote_key


def test_a_key_is_the_first_quotes_also_for_another_process(folder: Path) -> None:
    first, again, other, elsewhere = (
        make_entry("k"),
        make_entry("k", question="b"),
        make_entry("l"),
        make_entry("k", client="another"),
    )
    one, two = Backlog(folder), Backlog(folder)
    assert first.claim
    assert again.claim
    held = KeyHolder(first.claim.fingerprint, first.claim.quote_id, first.line)
    assert one.append([first]) == [None]
    assert two.append([again, other, elsewhere, make_entry()]) == [held, None, None, None]
    assert one.holder(again.claim) == held
    assert (one.pending(), two.pending()) == (4, 4)


def test_a_key_twice_in_one_request_is_one_quotes(folder: Path) -> None:
    first, again = make_entry("k"), make_entry("k")
    assert first.claim
    backlog = Backlog(folder)
    assert backlog.append([first, again]) == [
        None,
        KeyHolder(first.claim.fingerprint, first.claim.quote_id, first.line),
    ]
    assert backlog.pending() == 1


def test_a_row_is_found_by_its_quote_until_it_is_carried_over(backlog: Backlog, session: LedgerSession) -> None:
    plain, keyed, absent = make_entry(), make_entry("k"), make_entry("l")
    assert keyed.claim
    assert absent.claim
    backlog.append([plain, keyed])
    assert backlog.line(keyed.claim.quote_id) == keyed.line
    assert backlog.line(absent.claim.quote_id) is None
    assert backlog.holder(absent.claim) is None
    backlog.carry(session)
    assert backlog.line(keyed.claim.quote_id) is None


def test_what_is_carried_is_in_the_ledger_once_with_its_keys(
    folder: Path, backlog: Backlog, session: LedgerSession, warehouse: Engine
) -> None:
    entries = [make_entry(), make_entry("k"), make_entry("l")]
    claim = entries[1].claim
    assert claim
    session.append(entries[:1])  # a crash came after the commit
    backlog.append(entries)
    assert not backlog.is_empty
    assert backlog.carry(session) == 3
    assert backlog.is_empty
    assert journal_files(folder / "journal") == []
    assert (backlog.pending(), backlog.holder(claim)) == (0, None)
    with warehouse.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(quote)) == 3
        kept = connection.execute(select(quote_key).where(quote_key.c.key == "k")).one()
    assert (kept.client, kept.fingerprint, kept.quote_id, kept.quoted_at) == (
        claim.client,
        claim.fingerprint,
        claim.quote_id,
        claim.quoted_at,
    )
    backlog.append([make_entry()])
    assert backlog.carry(session) == 1


def test_a_row_that_the_ledger_refuses_is_kept_aside_and_the_others_go_on(
    folder: Path, backlog: Backlog, session: LedgerSession, warehouse: Engine
) -> None:
    good, bad, last = make_entry(), make_entry(), make_entry()
    backlog.append([good, bad._replace(line=bad.line.replace("mock", "nonsense")), last])
    assert backlog.carry(session) == 3
    with warehouse.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(quote)) == 2
    (aside,) = (folder / "journal").glob("*.refused*")
    assert bad.line.split("\t")[0] in aside.read_text()
    assert aside.read_text().endswith("\n")
