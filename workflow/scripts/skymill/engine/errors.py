"""The error whose message is for users."""


class SkymillError(Exception):
    """A problem that the user can fix: bad input, a bad setting, an exceeded limit.

    The message says what happened, where (file, line or record), and what to do next.
    """
