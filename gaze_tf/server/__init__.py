"""A local server for laptops and tests which speaks TensorFlow Serving's protocols; knows signatures, nothing of gaze.

Where it reads best to begin: `local.py`, then `versions.py`.
"""
