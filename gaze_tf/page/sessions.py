"""What the server keeps of each browser tab, until it is closed: the photo in memory, and files in a folder."""

import pathlib
import secrets
import shutil
import threading
from typing import Any

import gradio as gr
from PIL import Image

from gaze_tf.editing.editor import Work
from gaze_tf.page.words import error

# files of each kind that stay, as the browser may still load those before the newest
_KEPT = 5


class Session:
    """One tab.

    work: the Work on its photo with all faces, or None.
    before: (what is shown of the photo, the path of that picture), or None.
    video: path of its video, or None. stop: set to end the work on it.
    camera: the Camera of the tab, or None.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.closed = folder, False
        self.work: Work | None = None
        self.before: tuple[Any, str] | None = None
        self.video: pathlib.Path | None = None
        self.stop = threading.Event()
        self.camera: Any = None
        self._files: dict[str, list[pathlib.Path]] = {}
        self._lock = threading.Lock()

    def new_path(self, kind: str, name: str) -> pathlib.Path:
        """A path for a file of this kind under this name; older files of the kind are deleted, except the last few.

        Raises gr.Error if the tab was closed.
        """
        folder = self.folder / secrets.token_hex(8)
        with self._lock:
            if self.closed:
                raise _was_closed()
            folder.mkdir(parents=True)
            kept = self._files.setdefault(kind, [])
            kept.append(folder)
            while len(kept) > _KEPT:
                shutil.rmtree(kept.pop(0), ignore_errors=True)
        return folder / name

    def close(self) -> None:
        """Ends the work of the tab, and deletes what is kept of it."""
        self.stop.set()
        with self._lock:
            self.closed, self.work, self.camera = True, None, None
            shutil.rmtree(self.folder, ignore_errors=True)

    def show(self, kind: str, image: Image.Image) -> str:
        """The path of a picture for the browser; see `new_path`."""
        path = self.new_path(kind, f'{kind}.jpg')
        # Gradio's own encoding takes ten times as long
        image.save(path, quality=92, subsampling=0)
        return str(path)

    def take(self, kind: str, path: str) -> pathlib.Path:
        """Moves an uploaded file into the folder; see `new_path`."""
        taken = self.new_path(kind, pathlib.Path(path).name)
        shutil.move(path, taken)
        return taken

    def photo(self) -> Work:
        """`work`. Raises gr.Error if there is none."""
        if self.work is None:
            raise error('Choose a photo first.')
        return self.work


class Sessions:
    """The Session of each tab, with their files in a folder.

    A tab is known by the random name that Gradio gives it, its `session_hash`.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._all: dict[str | None, Session] = {}

    def of(self, request: gr.Request) -> Session:
        """The Session of the tab that a request comes from. Raises gr.Error if it was closed."""
        with self._lock:
            key = request.session_hash
            if key not in self._all:
                self._all[key] = Session(self._folder / secrets.token_hex(16))
        if self._all[key].closed:
            raise _was_closed()
        return self._all[key]

    def close(self, request: gr.Request) -> None:
        """Closes the Session of a tab, if it has one."""
        session = self._all.get(request.session_hash)
        if session is not None:
            session.close()


def _was_closed() -> gr.Error:
    return error('This page was closed, and its files are deleted: load it again.')
