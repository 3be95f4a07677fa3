"""A local server that speaks TensorFlow Serving's protocols, for laptops and tests. It knows nothing about gaze.

Start reading with `local.py`, then `versions.py`.
"""
