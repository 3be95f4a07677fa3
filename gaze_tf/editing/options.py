"""The options of editing: what is edited, which faces, how eyes are put back, and what is special about videos.

Each option is declared once, here or in `inference.faces.Limits`; functions take these objects, and the commands make
their flags from them.
"""

import dataclasses
import math

from gaze_tf.editing import gaze_path
from gaze_tf.errors import GazeError
from gaze_tf.inference import faces as faces_lib
from gaze_tf.options import Options, as_text, option

BLENDS = 'feather', 'poisson', 'hard'


@dataclasses.dataclass(frozen=True)
class ModelOptions(Options):
    """Which model repaints the eyes."""

    model: str = option(
        '',
        'Folder that `gaze-tf export` wrote (its newest version is used), or the folder of one version. '
        'By default the model that comes with gaze_tf.',
    )


@dataclasses.dataclass(frozen=True)
class SourceOptions(Options):
    """Which photos are edited, and where the results go."""

    input: str = option(
        '',
        "A photo, a folder or a quoted pattern of photos ('holiday/*.jpg'), or a folder in CelebAGaze's layout; "
        '`gaze-tf correct` also takes a video.',
        affects='files',
    )
    output: str = option('', 'The file to write, or the folder if `input` is several photos.', affects='files')
    eyes: tuple[float, ...] = option(
        (),
        'Eye centers of one photo, to skip face detection: left_x,left_y,right_x,right_y in pixels, the eye with the '
        'smaller x first.',
    )
    overwrite: bool = option(
        False,
        'Allow the output to replace the input; of several photos, edit again those already done.',
        affects='files',
    )
    domain: str = option(
        'y',
        "For a folder in CelebAGaze's layout: the domain, x (1.txt, eyes at the camera) or y (0.txt, eyes elsewhere).",
        choices=('x', 'y'),
    )
    last: int = option(
        0,
        "For a folder in CelebAGaze's layout: use only this many of the last rows (the test split is last); 0: all.",
        low=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eyes and len(self.eyes) != 4:
            raise GazeError(f'`eyes={as_text(self.eyes)}` must be four numbers.')


@dataclasses.dataclass(frozen=True)
class FaceOptions(Options):
    """Which faces are edited."""

    faces: str = option(
        'largest',
        'Which faces of a photo: largest, all, or numbers such as 0,2, by size; 0 is the largest. In a video they are '
        'chosen by size at the beginning of each shot and kept to its end.',
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        faces_lib.parse_faces(self.faces)


@dataclasses.dataclass(frozen=True)
class MarkOptions(Options):
    """Whether results say what they are."""

    mark: bool = option(
        False,
        'Mark results as pictures with parts made by a trained model, for programs and sites that show it: XMP, IPTC '
        "digital source type 'compositeWithTrainedAlgorithmicMedia'.",
    )


@dataclasses.dataclass(frozen=True)
class PaintOptions(FaceOptions):
    """Which faces are edited, and how their eyes are put back."""

    blend: str = option(
        'feather',
        'How eyes are put back. feather: colors are matched on average, and the change fades towards the rim of the '
        'eye box. poisson: colors are matched all along the rim. hard: as painted.',
        choices=BLENDS,
    )


@dataclasses.dataclass(frozen=True)
class LookOptions(Options):
    """Where eyes look, if not at the camera. The model must be calibrated (`gaze-tf calibrate`)."""

    look: tuple[float, ...] = option(
        (),
        'Where eyes look instead of at the camera: yaw,pitch in degrees from it, to the right and up in the picture; '
        'such as 10,0 for a little to the right, or 0,-8 for a little down.',
        low=-90,
        high=90,
    )
    target: tuple[float, ...] = option(
        (), 'A point that eyes look at instead of the camera: x,y in pixels of the picture.'
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (('look', self.look), ('target', self.target)):
            if len(value) not in (0, 2):
                raise GazeError(f'`{name}={as_text(value)}` must be two numbers.')
        if self.look and self.target:
            raise GazeError('`look` and `target` both say where eyes look: give one of the two.')

    @property
    def away(self) -> float | None:
        """The angle of `look` from the camera in degrees; 0 for a `target`, None if eyes look at the camera."""
        return math.hypot(*self.look) if self.look else 0.0 if self.target else None


@dataclasses.dataclass(frozen=True)
class CorrectOptions(PaintOptions, MarkOptions, LookOptions):
    """How photos are corrected."""

    alpha: tuple[float, ...] = option(
        (1.0,),
        'How far the gaze moves: 0 not at all, 1 to the camera (or where `look` says); or two numbers, for the left '
        'and the right eye.',
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.alpha) not in (1, 2):
            raise GazeError(f'`alpha={as_text(self.alpha)}` must be one number, or one for each eye.')


@dataclasses.dataclass(frozen=True)
class LiveOptions(PaintOptions, LookOptions):
    """How successive frames are corrected."""

    smoothing: float = option(
        1.2,
        'Videos only: seconds over which eye positions are smoothed (live: the half before a frame); 0: none.',
        low=0,
        high=2,
    )
    fade: float = option(
        0.25,
        'Videos: the least time, in seconds, in which the change fades in or out, as where a face turns away or is '
        'lost; 0: at once.',
        low=0,
        high=2,
    )
    look_away: bool = option(
        False,
        'Videos only: every 4 to 10 seconds each face looks almost where it really looked, for less than a second, as '
        'people do who do not stare.',
    )


@dataclasses.dataclass(frozen=True)
class VideoOptions(LiveOptions, CorrectOptions):
    """How videos are corrected."""

    cuts: bool = option(True, 'Videos only: detect cuts, across which nothing is smoothed.')
    always: bool = option(
        False, 'Videos only: also repaint eyes that look at the camera for a while, which are otherwise left alone.'
    )


@dataclasses.dataclass(frozen=True)
class AnimationOptions(PaintOptions, MarkOptions):
    """How photos are animated."""

    alpha: tuple[float, ...] = option(
        (0.0, 1.0), 'First and last alpha: 0 is the original gaze, 1 looks at the camera.'
    )
    path: str = option(
        '',
        'Where the eyes look over time, instead of `alpha`: points yaw,pitch,seconds with semicolons between them, in '
        "degrees from the camera, to the right and up ('0,0,0; 15,0,0.5; 0,0,1'), or circle,DEGREES. The model must be "
        'calibrated.',
    )
    frames: int = option(11, 'Frames from the first to the last alpha, or of a circle.', low=2, high=10_000)
    fps: float = option(10.0, 'Frames per second.', low=0.1, high=240)
    ping_pong: bool = option(True, 'Play them forward and back (not with `path`).')
    easing: str = option('smooth', 'smooth: slow at both ends. linear: at one speed.', choices=('smooth', 'linear'))
    max_side: int = option(1080, 'Larger photos are reduced to this many pixels on their longer side.', low=16)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.alpha) != 2:
            raise GazeError(f'`alpha={as_text(self.alpha)}` must be two numbers.')
        gaze_path.parse(self.path)
