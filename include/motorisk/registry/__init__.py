"""Model versions, their approval and their audit trail, tariffs: all in Postgres, in one transaction."""
