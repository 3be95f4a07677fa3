"""How far eyes can be turned; without numpy, so that the command line answers at once.

Yaw is positive towards the image's right, pitch is positive up, in degrees relative to the camera.
"""

from gaze_tf.errors import GazeError

# degrees between gaze and camera; beyond 25 to a side, eyes already look made up
MAX_ANGLE = 40.0
# degrees; eyelids let eyes look no further up or down
MAX_PITCH = 20.0


def check_angles(yaw: float, pitch: float) -> None:
    """Raises GazeError unless both are numbers within MAX_ANGLE degrees."""
    for name, angle in (('yaw', yaw), ('pitch', pitch)):
        if not abs(angle) <= MAX_ANGLE:
            raise GazeError(f'`{name}={angle:g}` must be between -{MAX_ANGLE:g} and {MAX_ANGLE:g} degrees.')
