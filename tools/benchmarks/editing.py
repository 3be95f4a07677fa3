"""The parts `photo` and `video` of tools.benchmarks.timing: editing as users do it, beside the unavoidable work.

Their figures, printed below the times:

  photo/parts    time for a photo relative to finding its face and running the network (bar: 1.3)
  outside        pixels that differ outside the eye boxes, over all blends (bar: 0)
  sharpness      sharpness of the eye boxes after correcting drawn faces 4 times as fine as the model's frame, relative
                 to before; and the same without keeping fine detail. Only with --model
  large          GB of memory of `gaze-tf correct` for a photo of 12,000 x 9,000 pixels (bar: 2). Only with --model
  720p/length    time for a 10-second clip of a swaying head, relative to its length (bar: 1; 1080p: 1.5)
  720p/floor     that time as a multiple of only decoding and encoding the clip
  720p/shares    shares of processor time, including ffmpeg: decoding, finding faces, network (with cutting faces out),
                 blending, encoding, rest
  tremble        pixels (standard deviation, see `jitter.jitter`) by which the detector sees irises move in a still face
                 with noise: in the original clip; corrected (bar: no more); and in the original clip with corrected
                 eyes pasted in that do not move at all, which shows the detector's own error
  shift          the same by registration: pixels by which the picture of the eyes shifts from frame to frame, in the
                 original clip and corrected
  irises         how much the color of irises varies while a head turns by 20 degrees to both sides (root mean square of
                 CIEDE2000 to their mean color, mean of both eyes): original and corrected (bar: 1.5 more)
  irises/light   the same while the light dims by a third and turns warmer
"""

import dataclasses
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import unittest.mock
from fractions import Fraction

import numpy as np
from PIL import Image
from scipy import ndimage

from gaze_tf.synthetic import faces as synthetic_faces
from gaze_tf.synthetic import renderer as face_renderer

PORTRAIT = pathlib.Path(__file__).resolve().parents[2] / 'tests/data/portrait.png'
FPS, SECONDS = 30, 10


def _saved_model(folder):
    """A SavedModel at full size with random weights."""
    import tensorflow as tf

    from gaze_tf import config
    from gaze_tf.export import signatures
    from gaze_tf.models.gaze_model import GazeModel

    model = GazeModel(config.ModelConfig(), native_crops=False)
    module = signatures.serving_module(model)
    tf.saved_model.save(module, str(folder), signatures=signatures.signatures_of(module))
    config.save(folder / config.CONFIG_NAME, model=model.config)
    return folder


def _editor(model, **options):
    from gaze_tf.editing.editor import GazeEditor
    from gaze_tf.inference.mediapipe_detector import MediapipeDetector

    with tempfile.TemporaryDirectory() as folder:
        return GazeEditor.load(model or _saved_model(pathlib.Path(folder)), detector=MediapipeDetector(**options))


def _portrait(side):
    with Image.open(PORTRAIT) as image:
        return np.asarray(image.convert('RGB').resize((side, side), Image.Resampling.LANCZOS))


def photo(model, repeats, seconds_of):
    """({name: seconds}, figures) of one photo of 1,024 pixels with one face."""
    from gaze_tf.compositing import blend
    from gaze_tf.editing.options import BLENDS

    editor, rgb = _editor(model), _portrait(1024)
    work = editor.prepare(rgb)
    (frame,), (cut,) = work.frames.values(), work.cuts.values()
    with tempfile.TemporaryDirectory() as folder:
        source, target = (pathlib.Path(folder) / f'{name}.jpg' for name in ('in', 'out'))
        Image.fromarray(rgb).save(source, quality=92)
        seconds = {
            'finding the face': seconds_of(lambda: editor.find(rgb), repeats),
            'network': seconds_of(lambda: editor.network.correct(cut[None], frame.eyes[None]), repeats),
            'photo': seconds_of(lambda: editor.correct(rgb), repeats),
            'photo, JPEG to JPEG': seconds_of(lambda: editor.correct(source).save(target), repeats),
        }
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    boxes = editor.network.boxes(frame.eyes)
    outside = ~_under(frame, boxes, rgb.shape)
    changed = sum(int((editor.correct(rgb, blend=name).image != rgb)[outside].any(axis=-1).sum()) for name in BLENDS)
    figures = {'photo/parts': median['photo'] / (median['finding the face'] + median['network']), 'outside': changed}
    if model:
        kept = _sharpness(editor)
        # in Python: the compiled function has been traced with the real one
        with unittest.mock.patch.multiple(
            blend,
            _blended=blend._blended.python_function,
            same_structure=lambda before, after, sigma: 0 * before[..., :1],
        ):
            figures['sharpness'] = [kept, _sharpness(editor)]
        figures['large'] = _memory_of_a_large_photo(model)
    return seconds, figures


def _sharpness(editor, count=10):
    """Mean sharpness kept of rendered faces, 4 times as fine as the model's frame, that look aside."""
    found = []
    for index in range(count):
        person, view, _ = synthetic_faces.sample_image(7, 'Y', index, index)
        rgb, info = face_renderer.render(
            person, dataclasses.replace(view, blur=0.2, glasses=()), 4 * editor.network.img_size
        )
        found.append(editor.correct(rgb, eyes=info['eyes'].ravel()).faces[0].sharpness)
    return float(np.mean(found))


def _memory_of_a_large_photo(model):
    with tempfile.TemporaryDirectory() as folder:
        source, target = (pathlib.Path(folder) / f'{name}.jpg' for name in ('in', 'out'))
        # a process of its own makes it, so that its memory is not counted
        subprocess.run(
            [
                sys.executable,
                '-c',
                f'from PIL import Image; large = Image.new("RGB", (12000, 9000)); large.paste('
                f'Image.open({str(PORTRAIT)!r}).resize((6000, 6000)), (3000, 2000)); large.save({str(source)!r})',
            ],
            check=True,
        )
        program = (
            'import sys; from gaze_tf.cli.main import main; '
            'status = main(sys.argv[1:]); print(next(line for line in open("/proc/self/status") if "VmHWM" in line))'
        )
        output = subprocess.run(
            [sys.executable, '-c', program, 'correct', f'--model={model}', f'--input={source}', f'--output={target}'],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
    return int(output.split()[-2]) / 2**20


def _under(frame, boxes, shape):
    """bool [H, W]: pixels of which any part lies under a box (corners and middles of sides and of the pixel)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside = np.zeros(shape[:2], bool)
    for dy in (0, 0.5, 1):
        for dx in (0, 0.5, 1):
            places = frame.to_frame(np.stack([x + dx, y + dy], axis=-1)).numpy()
            for box in boxes:
                inside |= ((places > box[:2]) & (places < box[2:])).all(axis=-1)
    return inside


def video(model, repeats, seconds_of):
    """({name: seconds}, figures) of clips of two sizes, each done once; without a model that of gaze_tf is used."""
    from gaze_tf.editing import video as video_lib
    from gaze_tf.editing.editor import GazeEditor
    from gaze_tf.inference.mediapipe_detector import MediapipeDetector

    editor = GazeEditor.load(model or None, detector=MediapipeDetector(video_lib.SMALLEST))
    seconds, figures = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for size in ((1280, 720), (1920, 1080)):
            name = f'{size[1]}p'
            figures[f'{name}/shares'] = _shares(editor, pathlib.Path(folder), size)
            whole, floor = _times(editor, pathlib.Path(folder), size)
            seconds.update({f'video, {name}': [whole], f'{name}, decoding and encoding': [floor]})
            figures.update({f'{name}/length': whole / SECONDS, f'{name}/floor': whole / floor})
        figures.update(_trembling(editor, pathlib.Path(folder)))
        figures.update(_iris_colours(editor, pathlib.Path(folder)))
    return seconds, figures


def _swaying(size, count):
    """Frames of the portrait, which sways, with sensor noise."""
    width, height = size
    portrait = Image.fromarray(_portrait(height))
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, 3, (height, width, 3)).astype(np.float32) for _ in range(4)]
    for number in range(count):
        place = (width - height) / 2 + 0.05 * height * np.sin(2 * np.pi * number / 60)
        frame = portrait.transform(size, Image.Transform.AFFINE, (1, 0, -place, 0, 1, 0), Image.Resampling.BILINEAR)
        yield np.clip(np.asarray(frame) + noise[number % 4], 0, 255).astype(np.uint8)


def _write(path, size, frames):
    from gaze_tf.media.video_files import write_video

    with write_video(path, size, Fraction(FPS)) as out:
        for frame in frames:
            out.write(frame)


def _read(path):
    from gaze_tf.media.video_files import open_video

    with open_video(path) as frames:
        yield from frames


def _times(editor, folder, size):
    """Seconds of a clip from file to file, with its eyes corrected, and as it is."""
    from gaze_tf.editing import source_files
    from gaze_tf.editing import video as video_lib
    from gaze_tf.editing.options import VideoOptions

    source, target = folder / 'in.mp4', folder / 'out.mp4'
    _write(source, size, _swaying(size, FPS * SECONDS))
    found = []
    for work in (
        lambda: video_lib.correct(editor, source_files.Source(source, None, target), options=VideoOptions(always=True)),
        lambda: _write(target, size, _read(source)),
    ):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return found


def _shares(editor, folder, size):
    """Of the processor time that a clip of a second takes, what its parts take that are done one after the other."""
    from gaze_tf.compositing import blend
    from gaze_tf.editing import source_files
    from gaze_tf.editing import video as video_lib
    from gaze_tf.editing.options import VideoOptions

    source, target = folder / 'short.mp4', folder / 'out.mp4'
    _write(source, size, _swaying(size, FPS))

    def correct():
        video_lib.correct(editor, source_files.Source(source, None, target), options=VideoOptions(always=True))

    correct()  # builds graphs
    whole, _ = _processor_seconds(correct)
    decoding, frames = _processor_seconds(lambda: list(_read(source)))
    finder = editor.finder(FPS)
    finding, found = _processor_seconds(lambda: [finder(rgb)[0] for rgb in frames])

    def cut(some):
        aligned = [editor.align_face(face, rgb) for rgb, face in some]
        return (
            aligned,
            np.stack([frame.cut(rgb).numpy() for frame, (rgb, _) in zip(aligned, some)]),
            np.stack([frame.eyes for frame in aligned]),
        )

    def paint(start):
        chunk = list(zip(frames, found))[start : start + 8]
        # once for codes, in one frame of three; and once when they and positions are smoothed
        _, cuts, eyes = cut(chunk[::3])
        codes = editor.network.paint_codes(cuts, eyes)
        aligned, cuts, eyes = cut(chunk)
        painted = editor.network.paint(cuts, eyes, np.repeat(codes, 3, axis=0)[: len(chunk)])
        return [(rgb, *work) for (rgb, _), *work in zip(chunk, aligned, cuts, painted)]

    painting, painted = _processor_seconds(
        lambda: [work for start in range(0, len(frames), 8) for work in paint(start)]
    )
    blending, results = _processor_seconds(
        lambda: [
            blend.put_back(rgb, frame, cut, after, editor.network.boxes(frame.eyes))
            for rgb, frame, cut, after in painted
        ]
    )
    encoding, _ = _processor_seconds(lambda: _write(target, size, results))
    parts = [decoding, finding, painting, blending, encoding]
    return [part / whole for part in [*parts, whole - sum(parts)]]


def _processor_seconds(work):
    """(processor seconds of this process and of those that it ran, what `work` returns)"""

    def used():
        return sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )

    start = used()
    result = work()
    return used() - start, result


def _trembling(editor, folder):
    """Figures of a still face with noise."""
    from gaze_tf.editing import source_files
    from gaze_tf.editing import video as video_lib
    from gaze_tf.editing.jitter import jitter
    from gaze_tf.editing.options import VideoOptions

    source, target = folder / 'in.mp4', folder / 'out.mp4'
    still = np.zeros((720, 1280, 3)) + 90
    still[:, 280:1000] = _portrait(720)
    rng = np.random.default_rng(0)
    _write(
        source,
        (1280, 720),
        (np.clip(still + rng.normal(0, 3, still.shape), 0, 255).astype(np.uint8) for _ in range(FPS * 4)),
    )
    video_lib.correct(editor, source_files.Source(source, None, target), options=VideoOptions(always=True))
    first = still.astype(np.uint8)
    moved = editor.correct(first).image.astype(int) - first
    fixed = (np.clip(rgb + moved, 0, 255).astype(np.uint8) for rgb in _read(source))
    tremble = [jitter(_irises(editor, frames)) for frames in (_read(source), _read(target), fixed)]
    (face,) = editor.find(first)
    return {'tremble': tremble, 'shift': [jitter(_shifts(_read(path), face)) for path in (source, target)]}


def _irises(editor, frames, count=90):
    """[N, 4] irises in the first frames of a video."""
    return np.array([editor.find(rgb)[0].irises for _, rgb in zip(range(count), frames)])


def _shifts(frames, face, count=90):
    """Shifts [N, 4] of both eyes against their mean picture, by least squares on its gradient (Lucas, Kanade 1981)."""
    found = []
    half = np.array([1.2, 0.7]) * face.eye_width
    grey = [ndimage.gaussian_filter(rgb.mean(axis=-1), 1) for _, rgb in zip(range(count), frames)]
    for eye in np.reshape(face.eyes, (2, 2)):
        (x0, y0), (x1, y1) = (np.rint(eye + sign * half).astype(int) for sign in (-1, 1))
        patches = np.stack([picture[y0:y1, x0:x1] for picture in grey])
        mean = patches.mean(axis=0)
        gradient = np.stack([np.gradient(mean, axis=axis).ravel() for axis in (1, 0)], axis=1)
        found.append((mean - patches).reshape(len(patches), -1) @ np.linalg.pinv(gradient).T)
    return np.concatenate(found, axis=1)


def _turning(editor, count, dimmed):
    """Frames of the portrait with eyes that look aside, on a head (cylinder) that turns by up to 20 degrees; noisy;
    dimmed: the share of light that is gone at the end."""
    from gaze_tf.turning.turn import EyeTurner

    rgb = _portrait(600)
    (face,) = editor.find(rgb)
    rgb = EyeTurner(rgb, face, editor.detector).render(12, -6).astype(np.float32)
    left, right = np.reshape(face.eyes, (2, 2))
    apart = np.hypot(*(right - left))
    y, x = (places * apart / 55 for places in np.mgrid[-150:210, -320:320])
    radius, rng = 1.15 * apart, np.random.default_rng(0)
    for phase in np.arange(count) / count:
        turned = np.arcsin(np.clip(x / radius, -0.98, 0.98)) - np.radians(20) * np.sin(2 * np.pi * phase)
        across = np.where(abs(x) < 0.98 * radius, radius * np.sin(np.clip(turned, -1.45, 1.45)), x)
        places = (left + right)[1] / 2 + y, (left + right)[0] / 2 + across
        frame = np.stack(
            [ndimage.map_coordinates(rgb[..., channel], places, order=1, mode='nearest') for channel in range(3)],
            axis=-1,
        )
        light = (1 - dimmed * phase) * (1 + np.sign(dimmed) * phase * np.array([0.1, 0, -0.15]))
        yield np.clip(frame * light + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)


def _iris_colours(editor, folder):
    """Figures of a head that turns."""
    from gaze_tf.editing import source_files
    from gaze_tf.editing import video as video_lib
    from gaze_tf.editing.options import VideoOptions

    source, target = folder / 'in.mp4', folder / 'out.mp4'
    found = {}
    for name, dimmed in (('irises', 0), ('irises/light', 0.35)):
        _write(source, (640, 360), _turning(editor, 2 * FPS, dimmed))
        video_lib.correct(editor, source_files.Source(source, None, target), options=VideoOptions(always=True))
        found[name] = [_variation(editor, list(_read(path))) for path in (source, target)]
    return found


def _variation(editor, frames):
    """Root mean square ΔE of irises to their mean color."""
    from gaze_tf.evaluation.metrics import color

    finder = editor.finder(FPS)
    faces = [finder(rgb)[0] for rgb in frames]
    # in ordinary eyes the iris is 0.38 of the eye; turned, it stays as high
    radius = 0.19 * np.median([face.eye_width for face in faces])
    colours = np.array(
        [
            [
                color.iris_color(rgb, iris - 0.5, radius, eye - 0.5)
                for iris, eye in zip(*(np.reshape(points, (2, 2)) for points in (face.irises, face.eyes)))
            ]
            for rgb, face in zip(frames, faces)
        ]
    )
    apart = color.delta_e(colours, np.broadcast_to(colours.mean(axis=0), colours.shape))
    return float(np.mean(np.sqrt(np.mean(apart**2, axis=0))))
