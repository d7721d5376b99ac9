"""The errors a user may meet: one line that says what is wrong and what to do, and the exit code."""


class OracleError(Exception):
    """Wrong input or surroundings: nothing is broken here, the message says what to change. Exit code 2.

    Made of one text, or of what is wrong and what to do about it.
    """

    exit_code = 2

    def __init__(self, *parts: str) -> None:
        super().__init__("; ".join(parts))


class OracleBugError(Exception):
    """The oracle contradicted itself, so none of its verdicts can be trusted. Exit code 3."""

    exit_code = 3
