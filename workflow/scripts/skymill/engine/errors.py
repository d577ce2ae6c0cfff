"""The one error that is meant for users."""


class SkymillError(Exception):
    """Something that the user can mend: bad input, a bad setting, a limit exceeded.

    The message says what happened, where (file, line or record), and what to do next.
    """
