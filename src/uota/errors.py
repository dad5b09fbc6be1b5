"""Exceptions for the user: one sentence that says what was wrong and what to do."""


class UotaError(Exception):
    """Bad input, or a state that the user can fix; the command line prints the message and exits with `code`.

    Attributes:
        code: exit status of the command line.
    """

    code = 2


class StoppedError(UotaError):
    """A signal stopped the work after its state was saved; the message says how to resume.

    Attributes:
        number: number of the signal; the exit status is 128 more, as in shells.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number
        self.code = 128 + number
