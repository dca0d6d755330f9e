"""Scoring a date in three steps that may each run in another process, be killed and be started again.

`planning` fixes version, tariff and ranges of policies; `partition` prices one range; `publishing` checks that nothing
is missing and lets readers see the date's new scores at once.
"""
