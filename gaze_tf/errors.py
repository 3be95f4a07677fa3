"""The one exception that a command shows to its user without a traceback."""


class GazeError(Exception):
    """What is wrong, where, and what to do: its message is the whole of what the user sees."""
