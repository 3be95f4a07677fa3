"""The versions of a model: sub-folders of a folder, each a number with a SavedModel inside.

Served are the newest version that can be loaded and those that labels name. The folder is polled: a new version takes over
once it is wholly loaded, the one before is then dropped; if the newest folder vanishes, the one before it takes over. A
version that cannot be loaded is reported, and tried again when its files change and every minute. Names that are no numbers
(those of folders that are being written) and files are left alone, and an empty folder leaves what is loaded.
"""

import contextlib
import os
import pathlib
import re
import sys
import threading
import time

import grpc
from tensorflow_serving.apis import get_model_status_pb2

from gaze_tf.errors import GazeError, first_line
from gaze_tf.server import errors
from gaze_tf.server.output import say
from gaze_tf.server.version import Version

Status = get_model_status_pb2.ModelVersionStatus
RETRY = 60  # seconds after which a version is tried again whose files look as they did: disks come back
PATIENCE = 30  # seconds that a request waits for its turn


class Versions:
    """The versions of the model `name` in `folder`. labels: {label: number}. Threads may call it at once.

    As many requests are worked on at once as there are processor cores, so that memory does not grow with that of clients.
    """

    def __init__(self, folder, name, labels):
        """Loads them; raises GazeError if there is nothing to serve."""
        self.name, self._folder, self._labels = name, pathlib.Path(folder), labels
        self._loaded, self._statuses, self._failed = {}, {}, {}
        self._turn = threading.BoundedSemaphore(os.cpu_count() or 1)
        present = self._present()
        if not present:
            raise GazeError(f'--model: {self._why_empty()}')
        for label, number in labels.items():
            if number not in present:
                raise GazeError(
                    f'--labels={label}:{number}: there is no version {number} in {folder}, only '
                    f'{", ".join(map(str, sorted(present)))}.'
                )
        self.refresh()
        if not self._loaded:
            raise GazeError(f'--model: no version in {folder} can be loaded.')

    def _present(self):
        """{number: path} of the sub-folders that are versions, those that cannot be read (links to nothing) among them."""
        with contextlib.suppress(OSError):
            return {
                int(path.name): path
                for path in self._folder.iterdir()
                if re.fullmatch('[0-9]{1,18}', path.name) and not os.path.isfile(path)
            }
        return {}

    def _why_empty(self):
        if not self._folder.is_dir():
            return f'there is no folder {self._folder}.'
        if (self._folder / 'saved_model.pb').is_file():
            return f'{self._folder} is itself a version; give the folder around it, where its name is a number.'
        return f'there is no version (a sub-folder whose name is a number) in {self._folder}.'

    def refresh(self):
        """Loads versions that are new on the disk and drops those that are no longer served."""
        present = self._present()
        if not present:
            return
        newest = next((number for number in sorted(present, reverse=True) if self._load(number, present[number])), None)
        if newest is None:
            return
        labelled = {
            number for number in self._labels.values() if number in present and self._load(number, present[number])
        }
        for number in set(self._loaded) - labelled - {newest}:
            self._note(number, Status.END)
            self._loaded = {other: version for other, version in self._loaded.items() if other != number}

    def _load(self, number, path):
        """Whether a version is loaded, after trying to."""
        if number in self._loaded:
            return True
        files, (earlier, reason, when) = _files(path), self._failed.get(number, (None, None, 0))
        if files == earlier and time.monotonic() < when + RETRY:
            return False
        self._note(number, Status.LOADING)
        try:
            version = Version(number, path)
        # whatever is wrong with one folder, the others are served
        except Exception as error:
            self._failed[number] = files, first_line(error), time.monotonic()
            self._note(
                number, Status.END, getattr(error, 'error_code', grpc.StatusCode.UNKNOWN.value[0]), first_line(error)
            )
            if (files, first_line(error)) != (earlier, reason):
                say(f'gaze-tf serve: {path} cannot be loaded: {first_line(error)}', sys.stderr)
            return False
        self._failed.pop(number, None)
        # a new dictionary, as others may be reading this one
        self._loaded = {**self._loaded, number: version}
        self._note(number, Status.AVAILABLE)
        return True

    def _note(self, number, state, code=0, message=''):
        self._statuses[number] = Status(
            version=number, state=state, status={'error_code': code, 'error_message': message}
        )

    @contextlib.contextmanager
    def polled(self, seconds):
        """Looks for new versions every so many seconds for as long as the block lasts."""
        over = threading.Event()

        def poll():
            while not over.wait(seconds):
                before = self.numbers()
                try:
                    self.refresh()
                # whatever went wrong this time, it is looked again
                except Exception as error:
                    say(
                        f'gaze-tf serve: looking for versions in {self._folder} failed: {first_line(error)}', sys.stderr
                    )
                if self.numbers() != before:
                    say(f'Serving {self.name} now: {self}', sys.stdout)

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

    def numbers(self):
        """Numbers of the versions that are served, in order."""
        return sorted(self._loaded)

    def find(self, spec):
        """The Version that a ModelSpec asks for; raises RequestError."""
        if not spec.name:
            raise errors.invalid('ModelSpec has no name specified.')
        loaded = self._loaded
        number = self._number(spec)
        if spec.name != self.name or (number is not None and number not in loaded):
            asked = f'Latest({spec.name})' if number is None else f'Specific({spec.name}, {number})'
            raise errors.not_found(f'Servable not found for request: {asked}')
        return loaded[max(loaded) if number is None else number]

    def _number(self, spec):
        """The version that a ModelSpec names by number or label, or None."""
        choice = spec.WhichOneof('version_choice')
        if choice == 'version_label':
            if spec.name != self.name or spec.version_label not in self._labels:
                raise errors.invalid(f'Unrecognized servable version label: {spec.version_label}')
            return self._labels[spec.version_label]
        return spec.version.value if choice == 'version' else None

    def status(self, spec):
        """[ModelVersionStatus] of the version that a ModelSpec names, or of all, newest first; raises RequestError."""
        number = self._number(spec)
        statuses = dict(self._statuses) if spec.name == self.name else {}
        if number is None and not statuses:
            raise errors.not_found(f'Could not find any versions of model {spec.name}')
        if number is not None and number not in statuses:
            raise errors.not_found(f'Could not find version {number} of model {spec.name}')
        return [statuses[known] for known in sorted(statuses, reverse=True) if number in (None, known)]

    @contextlib.contextmanager
    def turn(self, still_wanted):
        """For as long as the block lasts, a request is worked on; raises RequestError if it had to wait too long, or if
        nobody waits for its answer any longer."""
        if not self._turn.acquire(timeout=PATIENCE):
            raise errors.RequestError(grpc.StatusCode.UNAVAILABLE, f'The server was busy for {PATIENCE} seconds.')
        try:
            if not still_wanted():
                raise errors.RequestError(grpc.StatusCode.CANCELLED, 'The client has left.')
            yield
        finally:
            self._turn.release()


def _files(folder):
    """What tells whether anything about a folder has changed; never None."""
    try:
        return [(str(path), _state(path)) for path in (folder, *sorted(folder.rglob('*')))]
    except OSError as error:
        return str(error)


def _state(path):
    try:
        found = path.stat()
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns
    except OSError as error:
        return error.errno
