"""Shadows: every quote priced by a challenger too, off the answer's path, stored and compared.

A shadow is no part of the quote service. The ledger holds everything that reproduces a quote, so a follower, a process
of its own, reads new quotes from it and prices them with the challenger. The other way, a background thread in each
worker of the service, was weighed and left: it shares the interpreter's lock with the requests, loses what it has not
stored when its worker dies, needs a queue with a bound and something that happens beyond it, and cannot price quotes
that were made before. A follower cannot fail a quote by construction: it shares nothing with the service but the
database's server, on which it takes one core at most, waits for no commit to reach the disk, and holds no lock that
a quote needs. It catches up after outages, and finds quotes that came late through a journal.

`following`: finds quotes that a shadow has not priced, and prices them, each exactly once. `challenger`: a version's
plan, checked. `comparison`: the report, with its `premiums` and `examples`; `wording`: the same for people.
"""
