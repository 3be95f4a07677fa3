"""The training loop: batches → compiled step → checkpoints, summaries, resume. Both stages use it."""
import math
import pathlib
import signal
import sys
import time

import tensorflow as tf
from tqdm import tqdm

from gaze_tf import config as config_lib
from gaze_tf.data import pipeline
from gaze_tf.errors import GazeError
from gaze_tf.training import checkpoints, run_folder

PICTURES = 8    # faces of each domain in the TensorBoard grids


def use_xla(choice):
    """Whether --xla=auto|on|off means to compile with XLA on this machine."""
    return choice == 'on' or (choice == 'auto' and bool(tf.config.list_physical_devices('GPU')))


def train(make_stage, groups, show):
    """Trains a stage (PamStep, GanStep) up to its number of steps, resuming what is in the output folder.

    Args:
      make_stage: xla → an object with `train_step(x, y)` → {name: scalar}, `pictures(x, y)`,
        `variables` ({name: list}), `checkpoint` (tf.train.Checkpoint) and `learning_rate`.
      groups: configurations by name, written to config.json beside the checkpoints: 'data', 'run', the
        geometry's ('encoder' or 'model') and the schedule's ('pam' or 'gan').
      show: names of the terms that the progress bar shows.

    Returns:
      0, or the number of the signal that stopped the run early (after saving).

    Raises:
      GazeError: bad data, a run with another model or other data in the folder, no checkpoint of it that can be
        read, a loss that is not finite, a file that cannot be written.
    """
    run, data = groups['run'], groups['data']
    if run.deterministic:
        _make_deterministic(run)
    geometry, schedule = groups.get('model') or groups['encoder'], groups.get('gan') or groups['pam']
    # before the networks are built: bad data should be known at once
    fixed = [pipeline.fixed_batch(data.data_dir, domain, split, geometry.img_size, PICTURES)
             for domain, split in _picture_splits(data.data_dir)]
    directory, manifest = pathlib.Path(run.output_dir), pipeline.records.load_manifest(data.data_dir)
    run_folder.check(directory, groups, manifest)
    tf.keras.utils.set_random_seed(run.seed)

    def batches(first):
        """Pairs of an X and a Y Batch from step `first` on."""
        streams = tuple(pipeline.train_stream(data.data_dir, domain, geometry.img_size, schedule.batch_size,
                                              run.seed, data.flip, data.skip_corrupt, start_step=first)
                        for domain in 'xy')
        try:
            yield from tf.data.Dataset.zip(streams)
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise pipeline.explain_corruption(data.data_dir, error) from error

    loop = _Loop(make_stage(use_xla(run.xla)), directory, run, show, fixed)
    first = loop.resume()
    if first >= schedule.steps:
        print(f'{loop.manager.latest_checkpoint} is at step {first}: nothing left of --steps={schedule.steps}.')
        return 0
    changes = run_folder.changed(directory, groups)
    if first and changes:
        print(f'Going on with changed options, so not as an uninterrupted run would: {", ".join(changes)}.')
    # only now: a start that was refused must not claim the folder
    with loop.manager.writing(directory / config_lib.CONFIG_NAME):
        run_folder.write(directory, groups, manifest)
    return loop.run(batches(first), first, schedule.steps, 2 * schedule.batch_size)


def _make_deterministic(run):
    # the native crop of eye boxes, which XLA does not use, has a deterministic gradient on CPUs only
    if tf.config.list_physical_devices('GPU') and not use_xla(run.xla):
        raise GazeError('--deterministic on a GPU needs XLA: leave --xla=off out.')
    tf.config.experimental.enable_op_determinism()


def _picture_splits(records_dir):
    """Pictures show held-out faces, or training faces of a domain that holds none out."""
    manifest = pipeline.records.load_manifest(records_dir)
    return [(domain, 'test' if manifest.count(domain, 'test') else 'train') for domain in 'xy']


class _Loop:
    """One run of the training loop; `config` is the RunConfig."""

    def __init__(self, stage, directory, config, show, fixed):
        self.stage, self.config, self.show, self.fixed = stage, config, show, fixed
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.manager = checkpoints.manager(directory, self.step, stage.checkpoint, config.keep)
        self.events, self.writer = directory / 'tensorboard', None
        self.unread = []        # terms of the newest steps, still on the device
        self.rows = []          # terms of the steps since the last scalars, read and found finite
        self.signal = None

    def resume(self):
        """Restores the newest good checkpoint, if there is one; the number of steps done."""
        path = self.manager.restore()
        if path:
            print(f'Resuming from {path}.')
        return int(self.step)

    def run(self, batches, first, total, images_per_step):
        """Runs from step `first` to step `total` or to a signal; see `train`."""
        with self._writing_events():
            self.writer = tf.summary.create_file_writer(str(self.events))
        handlers = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        # a log file wants a line now and then, a terminal a lively bar
        pause = 0.5 if sys.stderr.isatty() else 15
        try:
            with tqdm(total=total, initial=first, unit='step', mininterval=pause, dynamic_ncols=True) as bar:
                self._loop(batches, first, total, images_per_step, bar)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            with self._writing_events():
                self.writer.close()
        if self.signal:
            print(f'Stopped at step {int(self.step)}, saved as {self.manager.latest_checkpoint}; the same '
                  'command goes on from there.')
        return self.signal or 0

    def _loop(self, batches, first, total, images_per_step, bar):
        bar.set_description('building the graph')
        since = time.perf_counter(), first
        for step in range(first + 1, total + 1):
            self.unread.append(self.stage.train_step(*next(batches)))
            self.step.assign(step)
            if step == first + 1:
                bar.set_description('')
            bar.update()
            last = step == total or self.signal is not None
            if last or step % self.config.log_every == 0:
                seconds, steps = time.perf_counter() - since[0], step - since[1]
                self._log(bar, images_per_step * steps / seconds)
                since = time.perf_counter(), step
            if last or step % self.config.image_every == 0:
                self._draw()
            if last or step % self.config.save_every == 0:
                self._save()
            # a signal since then is for the next step, which saves
            if last:
                return

    def _writing_events(self):
        return self.manager.writing(self.events)

    def _on_signal(self, number, frame):
        """Finish the step, save, stop; a second signal acts at once."""
        self.signal = number
        signal.signal(number, signal.SIG_DFL)

    def _read(self):
        """Reads the terms back from the device; raises GazeError at the first that is not finite."""
        rows = [{name: float(value) for name, value in terms.items()} for terms in self.unread]
        for number, row in enumerate(rows, start=int(self.step) - len(rows) + 1):
            for name, value in row.items():
                if not math.isfinite(value):
                    self._fail(f'{name} is {value} at step {number}')
        self.rows += rows
        self.unread = []

    def _fail(self, what):
        kept = self.manager.latest_checkpoint or 'none, the run had not saved yet'
        raise GazeError(f'Training stopped: {what}. The last good checkpoint is {kept}; a lower learning rate '
                        'often helps.')

    def _log(self, bar, images_per_second):
        self._read()
        terms = {name: sum(row[name] for row in self.rows) / len(self.rows) for name in self.rows[0]}
        self.rows = []
        bar.set_postfix({name: f'{terms[name]:.3g}' for name in self.show})
        with self._writing_events(), self.writer.as_default(int(self.step)):
            for name, value in terms.items():
                tf.summary.scalar(name, value)
            tf.summary.scalar('learning_rate', self.stage.learning_rate)
            tf.summary.scalar('images_per_second', images_per_second)

    def _draw(self):
        pictures = self.stage.pictures(*self.fixed)
        with self._writing_events(), self.writer.as_default(int(self.step)):
            for name, columns in pictures.items():
                grid = tf.concat(tf.unstack(tf.concat(columns, axis=2)), axis=0)    # a face a row
                tf.summary.image(name, pipeline.to_uint8(grid)[None])

    def _save(self):
        """Saves a checkpoint of finite weights, or raises GazeError and keeps the earlier one."""
        self._read()
        for name, variables in self.stage.variables.items():
            if not all(bool(tf.reduce_all(tf.math.is_finite(variable))) for variable in variables):
                self._fail(f'a weight of {name} is not finite after step {int(self.step)}')
        self.manager.save(checkpoint_number=int(self.step))
