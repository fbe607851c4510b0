"""The one exception that a person sees as a message instead of a traceback."""


class InputError(Exception):
    """Something that the user gave cannot be used.

    The message names the thing and the remedy in one or a few lines. The commands print it as
    `error: ...` and exit with status 1; a library user catches it as any exception.
    """
