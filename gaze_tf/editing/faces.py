"""Faces and their eyes: what is known of a face in a photo, and which faces are left alone."""
from typing import NamedTuple, Optional


class Face(NamedTuple):
    """A face in a photo of upright pixels; positions are (x, y) in its pixels, the middle of the first is 0.5.

    eyes: (left_x, left_y, right_x, right_y), the middles between the corners of each eye; left has the smaller x.
    What only a detector can tell is None for eyes given by hand:
    irises: their centres, in the same form.
    eye_width: from corner to corner, in pixels, mean of both eyes.
    openness: (left, right), distance of the eyelids as a share of the eye's width; 0 is closed, 0.3 usual.
    yaw, roll: degrees, of the head to the side (0: facing the camera) and of the line through the eyes.
    box: (x0, y0, x1, y1) around the face.
    """
    eyes: tuple
    irises: Optional[tuple] = None
    eye_width: Optional[float] = None
    openness: Optional[tuple] = None
    yaw: Optional[float] = None
    roll: Optional[float] = None
    box: Optional[tuple] = None
