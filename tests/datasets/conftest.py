"""A detector made by hand."""

import pytest

from gaze_tf.inference import mediapipe_detector
from tests.editing.folders import detector


@pytest.fixture(autouse=True)
def detector_by_hand(monkeypatch):
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: detector)
