"""What the angle code of a trained model means in degrees."""

import dataclasses

from gaze_tf.errors import GazeError
from gaze_tf.options import Options, option

TERMS = 9  # of the polynomials of a Calibration, see models/degrees.py


@dataclasses.dataclass(frozen=True)
class Calibration(Options):
    """How the angle code r of a trained model depends on where eyes look, as `gaze-tf calibrate` measured it."""

    step: int = option(0, 'The training step of the weights that it belongs to.', low=0)
    reach: float = option(
        0.0, 'The largest angle from the camera that it was measured for, in degrees.', low=0, high=60
    )
    to_code: tuple[float, ...] = option(
        (0.0,) * 2 * TERMS, 'Coefficients of r less that of the same eyes at the camera.'
    )
    to_degrees: tuple[float, ...] = option((0.0,) * 2 * TERMS, 'Coefficients of yaw and pitch.')

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.to_code) == len(self.to_degrees) == 2 * TERMS:
            raise GazeError(f'`to_code` and `to_degrees` must each have {2 * TERMS} numbers.')
