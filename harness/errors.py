"""Errors that end the command with one clear line."""


class UserError(Exception):
    """Something the user can mend: one line that says what, where and what to do. Exit code 2."""
