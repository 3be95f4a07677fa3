"""python -m tools.benchmarks.timing --output=benchmark.json

How fast this machine trains, corrects and animates at full size: 256 pixels, the paper's widths, VGG-16 (with random
weights if none are given), spectral normalisation. Takes minutes; nothing else should run meanwhile.

Each part runs in a process of its own: a warm-up, then the median of --repeats, the process's peak memory, and the
machine's float32 matrix-product rate (2048 x 2048) right before and after. Time times that rate, in GFLOP, compares
machines: what as many seconds of matrix products would have computed.

  train      one training step (four updates) of GCM and GAM, on so many faces of each domain
  pretrain   one step of PAM, likewise
  correct    the SavedModel's computation, uint8 in and out
  animate    the same, 10 frames of each face
  shipped    one face corrected by the model that comes with gaze_tf, and that time as a multiple of its floor: its
             multiplications and additions at the rate of float32 matrix products
  lite       one face corrected, and 10 frames of it, by the SavedModel's computation and by the files of `gaze-tf lite`
  pipeline   960 JPEGs from the training stream (one domain), and from the bare decoder
  photo      correcting one photo of 1,024 pixels, beside finding its face and the network alone
  video      correcting 10-second clips of 720p and 1080p, beside decoding and encoding alone; for figures of both see
             benchmark_editing.py
  startup    `gaze-tf COMMAND --help` as a whole process, and the bare import of TensorFlow
"""

import functools
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

import gaze_tf  # noqa: F401 (before TensorFlow, as it says how that is to start)
from gaze_tf.files import write_text
from tools.benchmarks import editing as benchmark_editing
from tools.benchmarks import operations

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# images of each domain in one call of a part
BATCHES = {
    'train': (4, 16),
    'pretrain': (16,),
    'correct': (1, 8),
    'animate': (1, 8),
    'shipped': (1,),
    'lite': (1,),
    'pipeline': (16,),
    'photo': (1,),
    'video': (1,),
    'startup': (1,),
}
FRAMES = 10


def seconds_of(work, repeats):
    """Seconds of each of `repeats` calls, after two that are not counted (the first builds the graph)."""
    work(), work()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return found


def matmul_rate(repeats):
    """GFLOP/s of a float32 product of two 2048 x 2048 matrices, the median of `repeats`."""
    import tensorflow as tf

    a = tf.random.stateless_normal([2048, 2048], [0, 1])
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)))
    return 2 * 2048**3 / statistics.median(seconds_of(lambda: product().numpy(), repeats)) / 1e9


def _batch(count, size=256):
    import tensorflow as tf

    from gaze_tf.data.pipeline import Batch

    return Batch(
        tf.random.stateless_uniform([count, size, size, 3], [0, count], -1, 1),
        tf.tile([[78.0, 93.0, 178.0, 93.0]], [count, 1]),
    )


def train(batch, repeats):
    from gaze_tf.config import GanConfig, ModelConfig
    from gaze_tf.losses.perceptual import vgg16
    from gaze_tf.training.gan_step import GanStep

    # random weights cost as much as real ones
    weights = flags.FLAGS.vgg_weights or None
    step = GanStep(ModelConfig(), GanConfig(), precision=flags.FLAGS.precision, vgg=lambda: vgg16(weights))
    x, y = _batch(batch), _batch(batch)
    return seconds_of(lambda: step.train_step(x, y)['g_y/content'].numpy(), repeats)


def pretrain(batch, repeats):
    from gaze_tf.config import EncoderConfig, PamConfig
    from gaze_tf.training.pam_step import PamStep

    step = PamStep(EncoderConfig(), PamConfig(), precision=flags.FLAGS.precision)
    x, y = _batch(batch), _batch(batch)
    return seconds_of(lambda: step.train_step(x, y)['loss'].numpy(), repeats)


def _serving(batch):
    from gaze_tf.config import ModelConfig
    from gaze_tf.data.pipeline import to_uint8
    from gaze_tf.export.signatures import serving_module
    from gaze_tf.models.gaze_model import GazeModel
    from gaze_tf.models.layers import computing_in

    image, eyes = _batch(batch)[:2]
    with computing_in(flags.FLAGS.precision, weights=flags.FLAGS.precision):
        model = GazeModel(ModelConfig(), native_crops=False, discriminators=False)
    return serving_module(model), to_uint8(image), eyes


def correct(batch, repeats):
    module, images, eyes = _serving(batch)
    return seconds_of(lambda: module.correct(images, eyes)['images'].numpy(), 5 * repeats)


def animate(batch, repeats):
    import tensorflow as tf

    module, images, eyes = _serving(batch)
    alphas = tf.tile([tf.linspace(0.0, 1.0, FRAMES)], [batch, 1])
    return seconds_of(lambda: module.animate(images, eyes, alphas)['frames'].numpy(), repeats)


def shipped(batch, repeats):
    from gaze_tf.data.pipeline import to_uint8
    from gaze_tf.export.export import in_precision
    from gaze_tf.export.signatures import serving_module
    from gaze_tf.pretrained import weights

    model = in_precision(weights.load_model(), flags.FLAGS.precision)
    size, shares = model.config.img_size, model.config.eye_shares
    images = to_uint8(_batch(batch, size).image)
    eyes = size * np.tile(np.array(shares, np.float32), [batch, 1])
    module, rate = serving_module(model), matmul_rate(3 * repeats)
    seconds = seconds_of(lambda: module.correct(images, eyes)['images'].numpy(), 10 * repeats)
    floor = batch * operations.correction(model) / rate
    return {'shipped': seconds}, {'multiple of the floor': statistics.median(seconds) / floor}


def lite(batch, repeats):
    """Seconds of the SavedModel's computation and of both TFLite files with as many threads; figures: their sizes."""
    import tensorflow as tf

    from gaze_tf.config import ModelConfig
    from gaze_tf.export import lite as lite_files
    from gaze_tf.export.signatures import serving_module
    from gaze_tf.models.gaze_model import GazeModel

    image, eyes = _batch(batch)[:2]
    inputs = {'images': tf.cast(127.5 * (image + 1), tf.uint8).numpy(), 'eyes': eyes.numpy()}
    frames = {**inputs, 'alphas': np.linspace(0, 1, FRAMES, dtype=np.float32)[None]}
    model = GazeModel(ModelConfig(), native_crops=False, discriminators=False)
    module = serving_module(model)
    runners = {'SavedModel': (module.correct, module.animate)}
    sizes = {}
    for name, content in lite_files.convert(model).items():
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=os.cpu_count())
        runners[name] = [interpreter.get_signature_runner(signature) for signature in ('correct', 'animate')]
        sizes[f'{name}, MB'] = len(content) / 1e6
    seconds = {}
    for name, (correct, animate) in runners.items():
        seconds[f'correct, {name}'] = seconds_of(functools.partial(correct, **inputs), 5 * repeats)
        seconds[f'animate, {name}'] = seconds_of(functools.partial(animate, **frames), repeats)
    return seconds, sizes


def _folder_of_faces(folder, count):
    """Writes a raw folder of `count` 256-pixel JPEGs of smooth noise in each domain."""
    from PIL import Image

    from tools.benchmarks import recording

    for name in '01':
        (folder / name).mkdir(parents=True)
        (folder / f'{name}.txt').write_text(''.join(f'{i} 78 93 178 93\n' for i in range(count)))
        for i in range(count):
            image = recording.smooth_noise(2 * i + int(name), 1, 256)[0]
            Image.fromarray(image).save(folder / name / f'{i}.jpg', quality=75)


def pipeline(batch, repeats):
    """Seconds for 960 images from the stream, and from the decoder alone."""
    import numpy as np
    import tensorflow as tf

    from gaze_tf.data import packing
    from gaze_tf.data.pack_options import PackOptions
    from gaze_tf.data.pipeline import train_stream

    count = 960
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        _folder_of_faces(folder / 'faces', count)
        packing.pack(folder / 'faces', folder / 'records', PackOptions(test_x=0, test_y=0, shard_size=256))
        jpegs = np.array([path.read_bytes() for path in (folder / 'faces/1').iterdir()])
        decoder = (
            tf.data.Dataset.from_tensor_slices(jpegs)
            .repeat()
            .map(
                lambda jpeg: tf.io.decode_jpeg(jpeg, channels=3, dct_method='INTEGER_ACCURATE'),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        )

        def drain(dataset):
            batches = iter(dataset)

            def work():
                for _ in range(count // batch):
                    next(batches)

            return work

        stream = train_stream(folder / 'records', 'x', 256, batch, 0)
        return {
            'stream': seconds_of(drain(stream), repeats),
            'decoder': seconds_of(drain(decoder.batch(batch)), repeats),
        }


def startup(batch, repeats):
    """Seconds of whole processes: the help of each command, and the bare import of TensorFlow."""
    from gaze_tf.cli.main import COMMANDS

    commands = {f'gaze-tf {command} --help': ['-m', 'gaze_tf.cli.main', command, '--help'] for command in COMMANDS}
    commands['import tensorflow'] = ['-c', 'import tensorflow']
    return {
        name: seconds_of(
            functools.partial(subprocess.run, [sys.executable, *arguments], capture_output=True, check=True),
            max(repeats // 2, 1),
        )
        for name, arguments in commands.items()
    }


def photo(batch, repeats):
    return benchmark_editing.photo(flags.FLAGS.model, repeats, seconds_of)


def video(batch, repeats):
    return benchmark_editing.video(flags.FLAGS.model, repeats, seconds_of)


COMPUTED = ('train', 'pretrain', 'correct', 'animate', 'shipped')
PARTS = {
    part.__name__: part for part in (train, pretrain, correct, animate, shipped, lite, pipeline, photo, video, startup)
}


def measure(part, batch, repeats):
    """One part in this process: {name: median seconds}, other figures, the matrix-product rate and the peak memory."""
    before = matmul_rate(3 * repeats)
    seconds, figures = PARTS[part](batch, repeats), {}
    if isinstance(seconds, tuple):
        seconds, figures = seconds
    if not isinstance(seconds, dict):
        seconds = {part: seconds}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in kilobytes
    return {
        'part': part,
        'batch': batch,
        'figures': figures,
        'peak_memory_gb': round(peak, 2),
        'matmul_gflops': round((before + matmul_rate(3 * repeats)) / 2, 1),
        'seconds': {name: {'median': statistics.median(values), 'all': values} for name, values in seconds.items()},
    }


def rows(result):
    """The lines of the table for one part; GFLOP-equivalents only where there is arithmetic to compare."""
    for name, seconds in result['seconds'].items():
        median, rate = seconds['median'], result['matmul_gflops']
        equivalents = f'{median * rate:.1f}' if name in COMPUTED else ''
        yield (
            f'{name:32} {result["batch"]:5} {median:9.3f} {equivalents:>9} {result["peak_memory_gb"]:7.2f} {rate:9.1f}'
        )
    for name, figure in result['figures'].items():
        yield f'  {name}: ' + ', '.join(f'{value:.3g}' for value in np.atleast_1d(figure))


def main(argv):
    options = flags.FLAGS
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        raise app.UsageError(f'--parts: there is no part {", ".join(sorted(unknown))}; there are {", ".join(PARTS)}.')
    if options.measure:
        part, batch = options.measure.split(':')
        print(json.dumps(measure(part, int(batch), options.repeats)))
        return
    results = []
    print(f'{"":32} {"batch":>5} {"seconds":>9} {"GFLOP-eq":>9} {"GB":>7} {"GFLOP/s":>9}', flush=True)
    for part in options.parts:
        for batch in BATCHES[part]:
            # a process of its own, for its own peak memory and threads
            command = [
                sys.executable,
                '-m',
                __spec__.name,
                f'--measure={part}:{batch}',
                f'--repeats={options.repeats}',
                f'--precision={options.precision}',
                f'--vgg_weights={options.vgg_weights}',
                f'--model={options.model}',
            ]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            results.append(json.loads(output.splitlines()[-1]))
            print('\n'.join(rows(results[-1])), flush=True)
    if options.output:
        write_text(options.output, json.dumps(results, indent=1) + '\n')


if __name__ == '__main__':
    flags.DEFINE_list('parts', list(PARTS), 'What to measure.')
    flags.DEFINE_integer('repeats', 5, 'Calls that are timed, after two that are not.', lower_bound=1)
    flags.DEFINE_enum('precision', 'float32', ['float32', 'bfloat16', 'float16'], 'What networks compute in.')
    flags.DEFINE_string('vgg_weights', '', 'VGG-16 weights, as for `gaze-tf train`; random ones if not given.')
    flags.DEFINE_string(
        'model',
        '',
        'SavedModel for photo and video. If not given: for photo one of full size with random weights, '
        'for video the one that comes with gaze_tf.',
    )
    flags.DEFINE_string('output', '', 'Where the results go as JSON; printed in any case.')
    flags.DEFINE_string(
        'measure', '', 'PART:BATCH, measured in this process and printed as JSON (used by the tool itself).'
    )
    app.run(main)
