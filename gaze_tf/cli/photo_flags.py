"""What commands that edit photos share: reading their flags, and telling what was done."""

import collections
import dataclasses
import json
import logging
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from absl import flags

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.editing.options import FaceOptions, MarkOptions, SourceOptions
from gaze_tf.errors import GazeError
from gaze_tf.files import reason, write_text
from gaze_tf.inference.faces import HardLimits, Limits

_log = logging.getLogger(__name__)


def define_photo_flags(values: flags.FlagValues) -> None:
    """Defines the flags that name photos and faces, of a command that does not set the strength."""
    option_flags.define(values, SourceOptions, FaceOptions, HardLimits)


def validate_photo_flags(values: flags.FlagValues, needed: Iterable[str] = ('input', 'output')) -> SourceOptions:
    """The options that name photos. Raises GazeError for a wrong one, and unless the needed flags were given."""
    require(values, *needed)
    option_flags.read(values, FaceOptions)
    return option_flags.read(values, SourceOptions)


def limits(values: flags.FlagValues) -> Limits:
    """The Limits of faces that are edited, as far as a command has flags for them."""
    if 'full_yaw' in values:
        return option_flags.read(values, Limits)
    return Limits(**dataclasses.asdict(option_flags.read(values, HardLimits)))


def load_editor(values: flags.FlagValues, detector: Any, away: float | None = None) -> Any:
    """The GazeEditor of a command's flags.

    away: the largest angle from the camera, in degrees, to which eyes are to look; None if they are to look at the
    camera. Warns of one that the model cannot paint; raises GazeError if the model cannot be told at all.
    """
    from gaze_tf.editing.editor import GazeEditor

    editor = GazeEditor.load(values.model, limits(values), detector)
    if away is not None and away > editor.network.check_calibrated():
        _log.warning(
            f'{away:.0f} degrees from the camera are more than the {editor.network.reach:.0f} that the model has '
            'learned: eyes look that far in the same direction.'
        )
    return editor


def mark_notes(values: flags.FlagValues, sources: Sequence[Any]) -> list[str]:
    """Sentences on results that --mark cannot mark."""
    if not option_flags.read(values, MarkOptions).mark:
        return []
    from gaze_tf.media import ai_mark

    return ai_mark.list_unmarked([source.output for source in sources])


def describe(reports: Iterable[Any]) -> list[str]:
    """One line for each FaceReport: what was done."""
    return [f'face {report.index}: ' + _outcome(report, 'left as it was', 'done') for report in reports]


def describe_planned(reports: Iterable[Any]) -> list[str]:
    """One line for each FaceReport: what would be done."""
    return [f'face {report.index}: ' + _outcome(report, 'to be left as it is', 'to be done') for report in reports]


def _outcome(report: Any, left: str, done: str) -> str:
    if report.reason:
        return f'{left}: {report.reason}'
    if report.strength == 1:
        return done
    return f'{done} at {report.strength:.0%} of full strength, as its head or gaze is turned'


class NothingEdited(GazeError):
    """A photo has no face that could be edited."""


def refuse_if_none(path: pathlib.Path, reports: Sequence[Any]) -> None:
    """Raises NothingEdited unless a face of a photo was edited: with nothing to show, nothing is written."""
    if not reports:
        raise NothingEdited(
            f'No face was found in {path}; nothing was written. --eyes=LEFT_X,LEFT_Y,RIGHT_X,RIGHT_Y says '
            'where the eyes are.'
        )
    if not any(report.done for report in reports):
        raise NothingEdited(
            f'No face of {path} could be edited; nothing was written. ' + '; '.join(describe(reports)) + '.'
        )


def write_report(path: pathlib.Path | str, rows: Any) -> None:
    """Writes what was done as JSON. Raises GazeError."""
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(rows, indent=1) + '\n')
    except OSError as error:
        raise GazeError(f'--report={path} cannot be written: {reason(error)}.') from error


def summary(rows: Sequence[dict[str, Any]], output: object, level: int = logging.INFO) -> int:
    """Logs how a run over several photos ended, the first line at this level; returns the exit status of the
    command."""
    count = collections.Counter(row['status'] for row in rows)
    earlier = sum('earlier' in row for row in rows)
    counts = ', '.join(f'{number} {status}' for status, number in count.items())
    _log.log(level, f'{output}: {counts}' + (f' ({earlier} of them by an earlier run)' if earlier else ''))
    for row in rows:
        why = row.get('error') or row.get('reason') and f'{row["file"]} is unchanged: {row["reason"]}'
        if why and 'earlier' not in row:
            _log.warning(why)
    notes = collections.defaultdict(list)
    for row in rows:
        for note in () if 'earlier' in row else row.get('notes', ()):
            notes[note].append(row['file'])
    for note, files in notes.items():
        _log.warning(f'{files[0]}{f" and {len(files) - 1} more" if len(files) > 1 else ""}: {note}')
    return 1 if count['failed'] else 0
