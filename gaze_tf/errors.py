"""The exception that a command shows to its user without a traceback.

Library code names an option by its Python name in backticks, with a value where that helps: `min_eye_px`, `faces=3`.
The command line shows the same text with flags instead (`cli.main.with_flags`): --min_eye_px, --faces=3.
"""

import re


class GazeError(Exception):
    """What is wrong and what to do about it, in sentences for the user.

    Args:
      problem: the sentences.
      about: what they are about, or None: a path, the address of a server. It precedes the problem in `str(error)`.
    """

    def __init__(self, problem, about=None):
        super().__init__(problem)
        self.problem, self.about = str(problem), about

    def __str__(self):
        return printable(self.problem if self.about is None else f'{self.about}: {self.problem}')


def printable(text: str) -> str:
    """Escapes all characters of a text, except newlines, that a terminal would interpret or cannot show.

    File names and messages of other machines may contain any.
    """
    return ''.join(c if c.isprintable() or c == '\n' else c.encode('unicode_escape').decode() for c in text)


def first_line(error: BaseException | str) -> str:
    """The first line of an exception's message, or the name of its class if the message is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def graph_message(text: str) -> str:
    """What an error of a TensorFlow graph says, without the names of the graph's nodes and functions around it."""
    text = text.rpartition('<stack traces unavailable>\n')[2].strip()
    # where several operations failed, the first one is enough
    text = re.sub(r'^\d+ root error\(s\) found\.\s*\(0\) [A-Za-z_ ]+:\s*', '', text)
    text = re.sub(r'\{\{.*?\}\} ?|\s*(\[\[?\{\{|\[Op:).*', '', text, flags=re.DOTALL)
    return re.sub(r'^assertion failed: \[([^]]*)\]', r'\1', text)
