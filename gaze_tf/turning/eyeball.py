"""The eyeball: its measures, and where a rotation takes what lies on it.

Directions: yaw > 0 towards the image's right, pitch > 0 up, in degrees and relative to the camera, whatever the head's roll.
"""

import numpy as np

from gaze_tf.errors import GazeError

# degrees between gaze and camera; further to a side than 25 eyes look made up already
MAX_ANGLE = 40
# mm: radius of the limbus (the iris's rim); distance of the globe's centre from the iris and from the cornea's centre
LIMBUS_MM, IRIS_MM, CORNEA_MM = 5.85, 10.0, 5.6
# diameter of the iris as a share of the distance of the pupils, in a face towards the camera
IRIS_TO_PUPILS = 0.187


def check_angles(yaw, pitch):
    """Raises GazeError unless both are numbers within MAX_ANGLE degrees."""
    for name, angle in (('yaw', yaw), ('pitch', pitch)):
        if not abs(angle) <= MAX_ANGLE:
            raise GazeError(f'--{name}={angle:g} must be between -{MAX_ANGLE} and {MAX_ANGLE} degrees.')


def rotation(yaw, pitch):
    """float64 [3, 3] (x right, y down, z to the camera) that takes (0, 0, 1) to the direction of yaw, pitch in degrees."""
    yaw, pitch = np.radians(yaw), np.radians(pitch)
    up = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    aside = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    return aside @ up


def direction(yaw, pitch):
    """The direction on the image plane [2]: (x right, y down) of the unit vector of a gaze."""
    return rotation(yaw, pitch)[:2, 2]


def yaw_pitch(angle, around):
    """(yaw, pitch) in degrees of a gaze `angle` degrees away from the camera, towards `around` degrees on the image plane
    (0: the right; 90: up)."""
    angle, around = np.radians(angle), np.radians(around)
    pitch = np.arcsin(np.sin(angle) * np.sin(around))
    yaw = np.arctan2(np.sin(angle) * np.cos(around), np.cos(angle))
    return float(np.degrees(yaw)), float(np.degrees(pitch))
