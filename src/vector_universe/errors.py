"""The exceptions that a user is meant to read."""


class UserError(Exception):
    """Something that the user can mend: its message says what is wrong, where, and what to do.

    The command line prints it as one line and leaves with exit code 2; no traceback.
    """


class StorageError(UserError):
    """What is stored cannot be read or written now: damaged, taken away, out of reach, or no room for it."""
