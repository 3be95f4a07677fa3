"""The exception for photos whose eyes cannot be turned well."""

from gaze_tf.errors import GazeError


class Unfit(GazeError):
    """Says why the eyes of a face cannot be turned, in a few words that follow 'face 0: '."""
