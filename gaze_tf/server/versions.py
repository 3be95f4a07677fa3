"""The versions of a model: subfolders of a folder, each named by a number and holding a SavedModel.

The newest version that can be loaded is served, and so are those that labels name. The folder is polled: a new version
takes over once it is fully loaded, and the one before it is dropped. If the newest folder is removed, the one before it
takes over. A version that cannot be loaded is reported and tried again. Other names are ignored, such as those of
folders that are still being written. If no version is left at all, the loaded ones stay.
"""

import contextlib
import logging
import math
import os
import pathlib
import re
import threading
import time
from collections.abc import Iterator

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from gaze_tf.errors import GazeError, first_line
from gaze_tf.server.errors import invalid, not_found
from gaze_tf.server.version import Version

logger = logging.getLogger(__name__)

Status = get_model_status_pb2.ModelVersionStatus
RETRY = 10  # seconds until a version that could not be loaded is tried again


class Versions:
    """The versions of a model. Threads may call it at the same time.

    Attributes:
      name: the model's name.
    """

    def __init__(self, folder: pathlib.Path | str, name: str, labels: dict[str, int]):
        """Loads the versions in `folder`. labels: {label: version number}. Raises GazeError if there are none."""
        self.name, self._folder, self._labels = name, pathlib.Path(folder), labels
        # replaced and never changed, because other threads read it
        self._loaded: dict[int, Version] = {}
        self._failed: dict[int, tuple[str, float]] = {}  # {number: (reason, time of the last try)}
        present = self._present()
        if not present:
            raise GazeError(self._why_empty(), about=folder)
        for label, number in labels.items():
            if number not in present:
                known = ', '.join(map(str, sorted(present)))
                raise GazeError(f'`labels={label}:{number}`: there is no version {number} in {folder}, only {known}.')
        self.refresh()
        if not self._loaded:
            raise GazeError('none of the versions in it can be loaded.', about=folder)

    def _present(self):
        """{number: path} of the subfolders that are versions, including links to nothing."""
        with contextlib.suppress(OSError):
            return {
                int(path.name): path
                for path in self._folder.iterdir()
                if re.fullmatch('[0-9]{1,18}', path.name) and not os.path.isfile(path)
            }
        return {}

    def _why_empty(self):
        if not self._folder.is_dir():
            return 'there is no such folder.'
        if (self._folder / 'saved_model.pb').is_file():
            return 'this is a version itself: give the folder that holds it, and name the version by a number.'
        return 'there is no version in this folder, that is no subfolder named by a number.'

    def refresh(self) -> None:
        """Loads new versions and drops those that are no longer served."""
        present = self._present()
        loaded: dict[int, Version] = {}
        for number in sorted(present, reverse=True):
            if not loaded or number in self._labels.values():
                version = self._loaded.get(number) or self._load(number, present[number])
                if version:
                    loaded[number] = version
        self._loaded = loaded or self._loaded
        for number in set(self._failed) - set(present):
            del self._failed[number]

    def _load(self, number, path):
        """The Version in a folder, or None if it cannot be loaded or could not a moment ago."""
        earlier, when = self._failed.get(number, ('', -math.inf))
        if time.monotonic() < when + RETRY:
            return None
        try:
            version = Version(number, path)
        # whatever is wrong with this folder, the other versions are served
        except Exception as error:
            self._failed[number] = first_line(error), time.monotonic()
            if self._failed[number][0] != earlier:
                logger.warning('%s cannot be loaded: %s', path, first_line(error))
            return None
        self._failed.pop(number, None)
        return version

    @contextlib.contextmanager
    def polled(self, seconds: float) -> Iterator[None]:
        """Looks for new versions every so many seconds until the block ends."""
        over = threading.Event()

        def poll():
            while not over.wait(seconds):
                before = self.numbers()
                try:
                    self.refresh()
                # the next look may succeed
                except Exception as error:
                    logger.warning('Looking for versions in %s failed: %s', self._folder, first_line(error))
                if self.numbers() != before:
                    logger.info('Serving %s now: %s', self.name, self)

        thread = threading.Thread(target=poll, name='versions')
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def __str__(self):
        numbers = self.numbers()
        return f'version{"s"[: len(numbers) > 1]} {", ".join(map(str, numbers))}'

    def numbers(self) -> list[int]:
        """The numbers of the versions that are served, in ascending order."""
        return sorted(self._loaded)

    def find(self, spec) -> Version:
        """The version that a ModelSpec names, by default the newest; raises RequestError."""
        loaded, number = self._loaded, self._number(spec)
        if number is not None and number not in loaded:
            raise not_found(f'Version {number} of model "{self.name}" is not served, only {self}.')
        return loaded[max(loaded) if number is None else number]

    def _number(self, spec):
        """The version number that a ModelSpec gives, itself or by a label, or None; raises RequestError."""
        if spec.name != self.name:
            raise not_found(f'There is no model "{spec.name}" here, only "{self.name}".')
        if spec.WhichOneof('version_choice') != 'version_label':
            return spec.version.value if spec.HasField('version') else None
        if spec.version_label not in self._labels:
            raise invalid(f'Model "{self.name}" has no version label "{spec.version_label}".')
        return self._labels[spec.version_label]

    def status(self, spec) -> list:
        """[ModelVersionStatus], newest first, of the version that a ModelSpec names, or of all; raises RequestError."""
        number = self._number(spec)
        found = {other: Status(version=other, state=Status.AVAILABLE, status={}) for other in self._loaded}
        for other, (reason, _) in dict(self._failed).items():
            error = {'error_code': grpc.StatusCode.UNKNOWN.value[0], 'error_message': reason}
            found[other] = Status(version=other, state=Status.END, status=error)
        if number is not None and number not in found:
            raise not_found(f'Version {number} of model "{self.name}" is not known.')
        return [found[other] for other in sorted(found, reverse=True) if number in (None, other)]

    def metadata(self, spec):
        """A GetModelMetadataResponse with the signatures of the version that a ModelSpec names; raises RequestError."""
        version = self.find(spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name, response.model_spec.version.value = self.name, version.number
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=version.signature_defs)
        response.metadata['signature_def'].Pack(signatures)
        return response
