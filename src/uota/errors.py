"""The one exception that a person sees: a sentence that says what was wrong and what to do."""


class UotaError(Exception):
    """Bad input or a state that the user can mend. The command line prints it and exits with code 2."""
