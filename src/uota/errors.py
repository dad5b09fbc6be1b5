"""The exceptions that a person sees: one sentence that says what was wrong and what to do."""


class UotaError(Exception):
    """Bad input or a state that the user can fix. The command line prints it and exits with `code`.

    Attributes:
        code: exit status of the command line.
    """

    code = 2


class StoppedError(UotaError):
    """Work that a signal stopped after its state was saved; the sentence says how to go on.

    Attributes:
        number: of the signal; the exit status is 128 more, as shells have it.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number
        self.code = 128 + number
