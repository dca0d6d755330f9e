"""The service against its own description: Schemathesis asks whatever the OpenAPI document allows, and more.

`MOTORISK_TEST_EXAMPLES` is the number of cases an operation and a phase; more of them find more.
"""
