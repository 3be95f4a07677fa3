"""The one exception that a command shows to its user without a traceback."""


class GazeError(Exception):
    """What is wrong, where, and what to do: its message is the whole of what the user sees."""

    def __str__(self):
        return printable(super().__str__())


def printable(text):
    """The text with characters that a terminal would obey, or that cannot be written, as escapes, but for ends of lines: names
    of files, and words of other machines, may hold any."""
    return ''.join(c if c.isprintable() or c == '\n' else c.encode('unicode_escape').decode() for c in text)


def first_line(error):
    """The first line of what an exception says, or its kind if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
