"""Evidence: the audit trail's chain, and seals of the ledger of quotes, made and verified (docs/security.md)."""
