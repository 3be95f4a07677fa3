"""The templates of a report's page, files of the folder templates/ with `$name` where values go."""

import functools
import html
import string
from importlib import resources
from typing import Any


class Html(str):
    """Text that is HTML already; any other text is escaped when it goes into a template."""


def fill(template: str, **values: Any) -> Html:
    """A template with these values. Raises KeyError if one is missing."""
    return Html(_template(template).substitute({name: _escaped(value) for name, value in values.items()}))


def style() -> Html:
    """The style sheet."""
    return Html(_text('style.css').strip())


def join(parts: Any) -> Html:
    """Pieces of HTML in a row."""
    return Html(''.join(parts))


def _escaped(value):
    return value if isinstance(value, Html) else html.escape(str(value))


@functools.cache
def _template(name):
    return string.Template(_text(f'{name}.html'))


def _text(name):
    return resources.files('gaze_tf.evaluation.report').joinpath('templates', name).read_text(encoding='utf-8')
