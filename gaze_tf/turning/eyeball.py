"""The eyeball: its sizes, and how points on it move when it turns.

Directions: yaw > 0 towards the image's right, pitch > 0 up, in degrees relative to the camera. They do not depend on
the head's roll.
"""

import numpy as np

# mm: radius of the limbus (the iris's rim); distance of the globe's center from the iris and from the cornea's center
LIMBUS_MM, IRIS_MM, CORNEA_MM = 5.85, 10.0, 5.6
# diameter of the iris as a share of the distance of the pupils, in a face towards the camera
IRIS_TO_PUPILS = 0.187


def rotation(yaw: float, pitch: float) -> np.ndarray:
    """The rotation float64 [3, 3] (x right, y down, z to the camera) from (0, 0, 1) to yaw, pitch in degrees."""
    yaw, pitch = np.radians(yaw), np.radians(pitch)
    up = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    aside = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    return aside @ up


def direction(yaw: float, pitch: float) -> np.ndarray:
    """The direction on the image plane [2]: (x right, y down) of the unit vector of a gaze."""
    return rotation(yaw, pitch)[:2, 2]


def yaw_pitch(angle: float, around: float) -> tuple[float, float]:
    """(yaw, pitch) in degrees of a gaze `angle` degrees away from the camera, in the direction `around` on the image
    plane (degrees; 0: right; 90: up)."""
    angle, around = np.radians(angle), np.radians(around)
    pitch = np.arcsin(np.sin(angle) * np.sin(around))
    yaw = np.arctan2(np.sin(angle) * np.cos(around), np.cos(angle))
    return float(np.degrees(yaw)), float(np.degrees(pitch))
