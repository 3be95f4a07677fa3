"""python -m tools.fuzz.photos --count=5000

Tests reading and writing of photos with damaged ones: small pictures of every format, with mutated headers, tags,
segments, lengths and ends. Each is opened as `gaze-tf correct` opens it, edited, and saved in its own format and in
another one.

It must end in a one-sentence error, or in files that Pillow opens upright, with the right pixels if they are PNGs.
Any other exception, a crash, more than 20 s or 2 GB, or pixels that differ between two readings count as failures,
and the exit status is then 1. Inputs depend only on --seed and their number. They run in separate processes, which
may die.
"""

import collections
import json
import os
import pathlib
import queue
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
from absl import app, flags
from PIL import Image, PngImagePlugin

import gaze_tf  # noqa: F401 (before TensorFlow, as it says how that is to start)
from gaze_tf.errors import GazeError
from gaze_tf.files import new_file
from gaze_tf.media.photo import SUFFIXES, Photo
from tools.fuzz.photo_mutations import mutated, seeds

SECONDS, MEMORY = 20, 2 << 30
# seconds of wall-clock time, as other processes may slow this one down
LONGEST = 3 * SECONDS
OWN_SUFFIX = {'JPEG': '.jpg', 'PNG': '.png', 'TIFF': '.tif', 'WEBP': '.webp', 'BMP': '.bmp', 'GIF': '.png'}


# --- one input ----------------------------------------------------------------------------------------------


def outcome(data, kind, other, folder):
    """Opens, edits and saves the bytes of a file; returns (one of a few outcomes, what is wrong or '')."""
    try:
        photo = Photo(folder / f'input{OWN_SUFFIX[kind]}', data)
    except GazeError as error:
        return 'refused', '' if '\n' not in str(error) and len(
            str(error)
        ) < 1000 else f'a message: {str(error)[:200]!r}'
    if not np.array_equal(Photo(photo.path, data).rgb, photo.rgb):
        return 'opened', 'pixels differ from reading to reading'
    height, width, _ = photo.rgb.shape
    box = slice(height // 4, height // 2 + 1), slice(width // 4, width // 2 + 1)
    rgb = photo.rgb.copy()
    rgb[box] = np.maximum(rgb[box].astype(int) - 30, 7)
    saved = []
    for suffix in OWN_SUFFIX[kind], other:
        path = folder / f'output{suffix}'
        path.unlink(missing_ok=True)
        try:
            photo.save(path, rgb)
        except GazeError as error:
            if '\n' in str(error) or path.exists():
                return 'opened', f'a file in spite of {error}'
            saved.append(f'not saved ({re.sub(".*cannot be written", "", str(error))})')
        else:
            saved.append('saved')
            if wrong := unlike(path, rgb, photo, suffix == OWN_SUFFIX[kind]):
                return 'saved', f'{path.name}: {wrong}'
    if any(path.name.startswith('.') for path in folder.iterdir()):
        return 'opened', 'half a file was left'
    return 'opened, ' + ' and '.join(saved) + (', with a note' if photo.notes else ''), ''


def unlike(path, rgb, photo, own):
    """Returns what is wrong with a written file, or ''; own: whether it has the source's format and orientation."""
    with Image.open(path) as image:
        image.load()
        if image.format != SUFFIXES[path.suffix]:
            return f'it is a {image.format}'
        # damaged EXIF is preserved, but Pillow reads less of it
        if image.size != rgb.shape[1::-1] and not (own and image.size == rgb.shape[:2]):
            return f'{image.size} pixels instead of {rgb.shape[1::-1]}'
        if path.suffix != '.png':
            return ''
        # Pillow would convert 16-bit gray to white
        pixels = Photo.open(path).rgb if own or image.mode == 'I;16' else np.asarray(image.convert('RGB'))
    same = (rgb == photo.rgb).all(axis=-1)
    return '' if (pixels[same] == rgb[same]).all() else 'pixels outside the edit differ'


def worker(values):
    """Answers each number on standard input with one line."""
    import tensorflow  # noqa: F401 (it reads 16-bit color, and importing it takes long)

    PngImagePlugin.MAX_TEXT_CHUNK = 1 << 27
    # so that no input takes all memory; TensorFlow reserves much more than it uses
    resource.setrlimit(resource.RLIMIT_AS, (24 << 30, 24 << 30))
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            number = int(line)
            name, how, data = mutated(values.seed, number)
            start = time.process_time()
            pathlib.Path('/proc/self/clear_refs').write_text('5')
            others = sorted(set(SUFFIXES) - {'.jpeg', '.jfif', '.tiff'})
            try:
                other = others[number // len(seeds()) % len(others)]
                result, wrong = outcome(data, name.split()[0], other, pathlib.Path(folder))
            except Exception as error:  # any exception is a failure
                result, wrong = 'exception', f'{type(error).__name__}: {error}'
            peak = int(re.search(r'VmHWM:\s*(\d+)', pathlib.Path('/proc/self/status').read_text())[1]) << 10
            took = time.process_time() - start
            if peak > MEMORY or took > SECONDS:
                wrong = wrong or f'{peak >> 20} MB, {took:.0f} s'
            print(json.dumps([result, wrong, peak]), flush=True)


# --- all of them --------------------------------------------------------------------------------------------


class Process:
    """A worker process, which is restarted when it dies."""

    def __init__(self, values):
        self._command = [sys.executable, '-m', __spec__.name, '--worker', f'--seed={values.seed}']
        # uninitialized memory is not zero
        self._environment = {**os.environ, 'MALLOC_PERTURB_': '165', 'CUDA_VISIBLE_DEVICES': '-1'}
        self._process = None

    def ask(self, number):
        """Returns [outcome, what is wrong, peak memory in bytes] of an input."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                stderr=subprocess.DEVNULL,
                env=self._environment,
            )
            starting = 300
        else:
            starting = 0
        late = threading.Event()
        timer = threading.Timer(LONGEST + starting, lambda: (late.set(), self._process.kill()))
        timer.start()
        try:
            self._process.stdin.write(f'{number}\n')
            self._process.stdin.flush()
            if line := self._process.stdout.readline():
                return json.loads(line)
        except BrokenPipeError:
            pass
        finally:
            timer.cancel()
        status, self._process = self._process.wait(), None
        return [
            'timeout' if late.is_set() else 'death',
            f'more than {LONGEST} s' if late.is_set() else f'status {status}',
            0,
        ]

    def close(self):
        if self._process:
            self._process.stdin.close()
            self._process.wait()


def main(_):
    values = flags.FLAGS
    if values.worker:
        worker(values)
        return 0
    numbers_left, results = queue.Queue(), {}
    for number in [values.only] if values.only >= 0 else range(values.count):
        numbers_left.put(number)

    def work():
        process = Process(values)
        while True:
            try:
                number = numbers_left.get_nowait()
            except queue.Empty:
                break
            results[number] = process.ask(number)
        process.close()

    threads = [threading.Thread(target=work) for _ in range(values.jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts, bad = collections.Counter(), 0
    for number, (result, wrong, _) in sorted(results.items()):
        name, how, data = mutated(values.seed, number)
        counts[name.split()[0], result] += 1
        if wrong:
            bad += 1
            print(f'{number} ({name}, {how}): {result}: {wrong}')
            if values.keep:
                pathlib.Path(values.keep).mkdir(parents=True, exist_ok=True)
                with new_file(pathlib.Path(values.keep) / f'{number}{OWN_SUFFIX[name.split()[0]]}') as file:
                    file.write(data)
    for (kind, result), count in sorted(counts.items()):
        print(f'{kind:5} {count:6}  {result}')
    print(f'{len(results)} inputs, {bad} failures; at most {max(peak for *_, peak in results.values()) >> 20} MB')
    return 1 if bad else 0


if __name__ == '__main__':
    flags.DEFINE_integer('count', 5000, 'Number of inputs.', lower_bound=1)
    flags.DEFINE_integer('seed', 0, 'Seed of the mutations.')
    flags.DEFINE_integer('jobs', 2, 'Number of processes.', lower_bound=1)
    flags.DEFINE_integer('only', -1, 'Number of the only input to test.')
    flags.DEFINE_string('keep', '', 'Folder for the inputs that failed.')
    flags.DEFINE_boolean('worker', False, 'Run as one of the processes.')
    app.run(main)
