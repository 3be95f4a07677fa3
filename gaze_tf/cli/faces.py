"""What `correct`, `animate` and `client` share: the flags that name photos and faces, and how they are read."""

import collections
import pathlib
import re
import sys

from absl import flags

from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError
from gaze_tf.inference.faces import Limits
from gaze_tf.options import check_finite


def define_flags(values):
    define_model_flag(values)
    define_strength_flags(values)
    define_photo_flags(values)


def define_strength_flags(values):
    """Those of how eyes are put back, and how strongly."""
    flags.DEFINE_enum(
        'blend',
        'feather',
        ['feather', 'poisson', 'hard'],
        'How eyes are put back: colours matched on average and faded towards the rim of the eye box, '
        'matched all along the rim, or just as painted.',
        flag_values=values,
    )
    flags.DEFINE_float(
        'full_yaw',
        Limits().full_yaw,
        'Faces turned to the side by more degrees than this are corrected less, down to nothing at --max_yaw.',
        flag_values=values,
    )
    flags.DEFINE_float(
        'full_pitch', Limits().full_pitch, '--full_yaw for heads that are raised or lowered.', flag_values=values
    )
    flags.DEFINE_float(
        'full_gaze',
        Limits().full_gaze,
        '--full_yaw for eyes that look past the camera to the side.',
        flag_values=values,
    )


def define_time_flags(values):
    """Those of frames that follow each other."""
    flags.DEFINE_float(
        'smoothing',
        1.2,
        'Of a video: seconds over which positions of eyes are smoothed (live: the half of it before a frame); 0: not.',
        lower_bound=0,
        upper_bound=2,
        flag_values=values,
    )
    flags.DEFINE_float(
        'fade',
        0.25,
        'Of a video: seconds that the change takes at least to fade away or in, as where a '
        'face turns away or is lost; 0: at once.',
        lower_bound=0,
        upper_bound=2,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        'look_away',
        False,
        'Of a video: every 4 to 10 seconds each face looks for less than a second nearly '
        'where it really looked, as people do who do not stare.',
        flag_values=values,
    )


def define_model_flag(values):
    flags.DEFINE_string(
        'model',
        '',
        'Folder of `gaze-tf export`, whose newest version is taken, or of one version; not '
        'given: the model that comes with gaze_tf.',
        flag_values=values,
    )


def define_photo_flags(values):
    """Those of them that say nothing about the model."""
    flags.DEFINE_string(
        'input',
        '',
        "A photo, (`correct`:) a video, a folder or a quoted pattern ('holiday/*.jpg') of photos, or a folder in "
        "CelebAGaze's layout.",
        flag_values=values,
    )
    flags.DEFINE_string(
        'output', '', 'The file to write, or the folder if --input is several photos.', flag_values=values
    )
    flags.DEFINE_list(
        'eyes',
        [],
        'Eye centres of a photo, to do without finding faces: left_x,left_y,right_x,right_y in '
        'pixels, the eye with the smaller x first.',
        flag_values=values,
    )
    define_limit_flags(values)
    flags.DEFINE_boolean(
        'overwrite',
        False,
        'Allow the output to be the input itself; of several photos, do again what is done.',
        flag_values=values,
    )
    flags.DEFINE_enum(
        'domain',
        'y',
        ['x', 'y'],
        "Of a folder in CelebAGaze's layout: the domain, x (1.txt, eyes at the camera) or y (0.txt, eyes elsewhere).",
        flag_values=values,
    )
    flags.DEFINE_integer(
        'last',
        0,
        "Of a folder in CelebAGaze's layout: only so many of the last rows (the test split is last); 0: all.",
        lower_bound=0,
        flag_values=values,
    )


def define_limit_flags(values):
    """Those of which faces are edited, and what they must be like."""
    flags.DEFINE_string(
        'faces',
        'largest',
        'Which faces of a photo: largest, all, or numbers by size, from 0, the '
        'largest, such as 0,2. In a video: chosen by size at the beginning of each shot, and kept to its end.',
        flag_values=values,
    )
    flags.DEFINE_float(
        'min_eye_px',
        Limits().min_eye_px,
        'Faces whose eyes are narrower than this, in pixels, are left alone.',
        flag_values=values,
    )
    flags.DEFINE_float(
        'max_yaw',
        Limits().max_yaw,
        'Faces turned to the side by more degrees than this are left alone.',
        flag_values=values,
    )
    flags.DEFINE_float(
        'max_pitch',
        Limits().max_pitch,
        'Faces raised or lowered by more degrees than this are left alone.',
        flag_values=values,
    )
    flags.DEFINE_float(
        'max_gaze',
        Limits().max_gaze,
        'Eyes that look to the side by more degrees than this are left alone.',
        flag_values=values,
    )
    flags.DEFINE_float(
        'max_roll', Limits().max_roll, 'Faces tilted by more degrees than this are left alone.', flag_values=values
    )
    flags.DEFINE_float(
        'min_openness',
        Limits().min_openness,
        'Faces with an eye that is open by less of its width than '
        'this are left alone; in a video: blinks. 0: repaint closed eyes, too.',
        flag_values=values,
    )
    flags.DEFINE_float(
        'min_seen',
        Limits().min_seen,
        'Faces with an eye that is seen less surely than this, from 0 to 1, are '
        'left alone: it is covered. 0: repaint covered eyes, too.',
        flag_values=values,
    )


def define_mark_flag(values):
    flags.DEFINE_boolean(
        'mark',
        False,
        'Mark results as pictures with parts that a trained model made, for programs and sites '
        "that show it: XMP, IPTC digital source type 'compositeWithTrainedAlgorithmicMedia'.",
        flag_values=values,
    )


def mark_notes(values, sources):
    """Sentences on results that --mark cannot mark."""
    if not values.mark:
        return []
    from gaze_tf.media import marks

    return marks.notes([source.output for source in sources])


def limits(values):
    """The Limits of faces that are edited."""
    return Limits(**{name: values[name].value for name in Limits._fields if name in values})


def read_eyes(values, needed=('input', 'output')):
    """--eyes as four numbers, or None; raises GazeError, for --faces too, and unless these flags were given."""
    require(values, *needed)
    check_faces(values)
    if not values.eyes:
        return None
    eyes = numbers(values, 'eyes')
    if len(eyes) != 4:
        raise GazeError(f'--eyes={",".join(values.eyes)} must be four numbers.')
    return tuple(eyes)


def check_faces(values):
    """Raises GazeError for a --faces that names none."""
    if not re.fullmatch(r'largest|all|\d+(,\d+)*', values.faces):
        raise GazeError(f'--faces={values.faces} must be largest, all, or numbers such as 0,2.')


def numbers(values, name):
    """A list flag as finite floats; raises GazeError."""
    text = ','.join(values[name].value)
    try:
        found = [float(number) for number in values[name].value]
    except ValueError as error:
        raise GazeError(f'--{name}={text} must be numbers.') from error
    check_finite(name, *found)
    return found


def describe(reports):
    """What was done to each face, a line each."""
    return [f'face {report.index}: ' + _outcome(report, 'left as it was', 'done') for report in reports]


def describe_planned(reports):
    """What would be done to each face, a line each."""
    return [f'face {report.index}: ' + _outcome(report, 'to be left as it is', 'to be done') for report in reports]


def _outcome(report, left, done):
    if report.reason:
        return f'{left}: {report.reason}'
    # full_yaw and its like
    return (
        done
        if report.strength == 1
        else (f'{done} at {report.strength:.0%} of full strength, as its head or gaze is turned')
    )


class NothingEdited(GazeError):
    """A photo has no face that could be edited."""


def refuse_if_none(path, reports):
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


def write_report(path, reports):
    """Writes what was done to the faces of one photo as JSON; raises GazeError."""
    from gaze_tf.editing.folder import face_row

    write_json(path, [face_row(report) for report in reports])


def write_json(path, rows):
    """Writes a report; raises GazeError."""
    import json

    from gaze_tf.files import reason, write_text

    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(rows, indent=1) + '\n')
    except OSError as error:
        raise GazeError(f'--report={path} cannot be written: {reason(error)}.') from error


def summary(rows, output, file=None):
    """Says how a run over several photos ended, into a text file or the standard output; its exit status."""
    count = collections.Counter(row['status'] for row in rows)
    earlier = sum('earlier' in row for row in rows)
    print(
        f'{output}: '
        + ', '.join(f'{number} {status}' for status, number in count.items())
        + (f' ({earlier} of them by an earlier run)' if earlier else ''),
        file=file,
    )
    for row in rows:
        why = row.get('error') or row.get('reason') and f'{row["file"]} is unchanged: {row["reason"]}'
        if why and 'earlier' not in row:
            print(why, file=sys.stderr)
    notes = collections.defaultdict(list)
    for row in rows:
        for note in () if 'earlier' in row else row.get('notes', ()):
            notes[note].append(row['file'])
    for note, files in notes.items():
        print(f'{files[0]}{f" and {len(files) - 1} more" if len(files) > 1 else ""}: {note}', file=sys.stderr)
    return 1 if count['failed'] else 0
