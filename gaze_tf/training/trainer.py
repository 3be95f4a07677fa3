"""The training loop: batches → compiled step → checkpoints, summaries, resume. Both stages use it."""

import contextlib
import math
import pathlib
import sys
import time

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from gaze_tf import config as config_lib
from gaze_tf.data import pipeline
from gaze_tf.errors import GazeError
from gaze_tf.files import alone_in
from gaze_tf.training import checkpoints, distribution, run_folder
from gaze_tf.training.early_stop import EarlyStop
from gaze_tf.training.stop_signals import StopSignals

PICTURES = 8  # faces of each domain in the TensorBoard grids


def use_xla(choice, replicas=1):
    """Whether --xla=auto|on|off means to compile with XLA on this machine; raises GazeError if it cannot be."""
    if replicas > 1:
        if choice == 'on':
            raise GazeError(
                f'--xla=on does not go together with {replicas} devices (--strategy), whose exchange XLA '
                'does not compile: leave it out.'
            )
        return False
    return choice == 'on' or (choice == 'auto' and bool(tf.config.list_physical_devices('GPU')))


def train(make_stage, groups, show):
    """Trains a stage (PamStep, GanStep) up to its number of steps, resuming what is in the output folder.

    Args:
      make_stage: xla → an object with `train_step(x, y)` and `evaluate(x, y)` → {name: scalar}, `pictures(x, y)`,
        `variables` ({name: list}), `checkpoint` (tf.train.Checkpoint) and `learning_rate`.
      groups: configurations by name, written to config.json beside the checkpoints: 'data', 'augment', 'run',
        the geometry's ('encoder' or 'model') and the schedule's ('pam' or 'gan').
      show: names of the terms that the progress bar shows, of those that there are.

    Returns:
      0, or the number of the signal that stopped the run early (after saving).

    Raises:
      GazeError: bad data, a run with another model or other data in the folder, one that is still going on there, the
        folder's removal, no checkpoint of it that can be read, a loss that is not finite, a file that cannot be
        written, numbers that do not fit (of steps, of devices), another worker that was lost.
    """
    run, data = groups['run'], groups['data']
    if run.deterministic:
        _make_deterministic(run)
    geometry, schedule = groups.get('model') or groups['encoder'], groups.get('gan') or groups['pam']
    run.check_multiple('steps', schedule.steps)
    strategy = distribution.create(run)
    workers, xla = distribution.Workers(strategy), use_xla(run.xla, strategy.num_replicas_in_sync)
    if schedule.batch_size % strategy.num_replicas_in_sync:
        raise GazeError(
            f'--batch_size={schedule.batch_size} must be a multiple of {strategy.num_replicas_in_sync}: it '
            'is the batch of all devices together.'
        )
    # before the networks are built: bad data should be known at once
    pipeline.check_frame(data.data_dir, geometry.frame_eyes)
    directory, manifest = pathlib.Path(run.output_dir), pipeline.records.load_manifest(data.data_dir)
    with alone_in(directory) if workers.is_chief else contextlib.nullcontext(), workers.losing_one():
        run_folder.check(directory, groups, manifest)
        checksums = run_folder.checksums(directory)
        pipeline.check_contents(data.data_dir, checksums, data.skip_corrupt)
        fixed = _faces_to_draw(data, geometry.img_size)
        tf.keras.utils.set_random_seed(run.seed)
        with strategy.scope():
            stage = make_stage(xla)
        early_stop = EarlyStop(stage, schedule, data, geometry.img_size)
        loop = _Loop(stage, directory, run, show, fixed, early_stop, workers)
        first = loop.resume()
        if loop.finished(schedule.steps):
            return 0
        if workers.is_chief:
            changes = run_folder.changed(directory, groups)
            if first and changes:
                print(f'Going on with changed options, so not as an uninterrupted run would: {", ".join(changes)}.')
            # only now: a start that was refused must not claim the folder
            with loop.manager.writing(directory / config_lib.CONFIG_NAME):
                run_folder.write(directory, groups, manifest, checksums)
        steps = _make_steps(strategy, stage, groups, first)
        return loop.run(steps, first, schedule.steps, 2 * schedule.batch_size)


def _make_steps(strategy, stage, groups, first):
    """From step `first` on: number of steps n → their terms, scalars by name, or [n] where n may be above 1."""
    run, data = groups['run'], groups['data']
    geometry, schedule = groups.get('model') or groups['encoder'], groups.get('gan') or groups['pam']
    replicas = strategy.num_replicas_in_sync

    def streams(context):
        """Batches of both domains, in the parts that this worker's replicas take in turn."""
        local = replicas // context.num_input_pipelines
        own = range(context.input_pipeline_id * local, (context.input_pipeline_id + 1) * local)
        both = tuple(
            pipeline.train_stream(
                data.data_dir,
                domain,
                geometry.img_size,
                schedule.batch_size,
                run.seed,
                data.flip,
                data.skip_corrupt,
                first,
                replicas,
                own,
                schedule.twins and domain == 'y',
                groups['augment'],
            )
            for domain in 'xy'
        )
        # else workers ask each other before every batch whether there is one
        return tf.data.Dataset.zip(both).apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    def explained(read):
        try:
            return read()
        # behind them, depending on what waits for the batch: the stream has come to its end
        except (
            *pipeline.UNREADABLE,
            tf.errors.FailedPreconditionError,
            tf.errors.OutOfRangeError,
            StopIteration,
        ) as error:
            raise pipeline.explain_corruption(data.data_dir, error, data.skip_corrupt) from error

    batches = iter(strategy.distribute_datasets_from_function(streams))
    if replicas == run.steps_per_call == 1:
        return lambda count: stage.train_step(*explained(lambda: next(batches)))
    steps = distribution.several_steps(strategy, stage.train_step, batches)
    return lambda count: explained(lambda: steps(count))


def _make_deterministic(run):
    # the native crop of eye boxes, which XLA does not use, has a deterministic gradient on CPUs only
    if tf.config.list_physical_devices('GPU') and not use_xla(run.xla):
        raise GazeError('--deterministic on a GPU needs XLA: leave --xla=off out.')
    tf.config.experimental.enable_op_determinism()


def _faces_to_draw(data, img_size):
    """A Batch of each domain: held-out faces, or training faces of a domain that holds none out."""
    manifest = pipeline.records.load_manifest(data.data_dir)
    return [
        pipeline.fixed_batch(
            data.data_dir,
            domain,
            'test' if manifest.count(domain, 'test') else 'train',
            img_size,
            PICTURES,
            skip_corrupt=data.skip_corrupt,
        )
        for domain in 'xy'
    ]


class _Loop:
    """One run of the training loop; `config` is the RunConfig."""

    def __init__(self, stage, directory, config, show, fixed, early_stop, workers):
        self.stage, self.config, self.show, self.fixed = stage, config, show, fixed
        self.early_stop, self.workers = early_stop, workers
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.manager = checkpoints.manager(directory, self.step, stage.checkpoint, config.keep)
        self.directory, self.place = directory, None
        self.events, self.writer = directory / 'tensorboard', None
        self.unread = []  # terms of the newest steps, still on the device
        self.rows = []  # terms of the steps since the last scalars, read and found finite
        self.signals = StopSignals()

    def resume(self):
        """Restores the newest good checkpoint, if there is one; the number of steps done."""
        # the chief first, who sets broken files aside
        path = self.manager.restore() if self.workers.is_chief else None
        self.workers.gather(0)
        if path:
            print(f'Resuming from {path}.')
        if not self.workers.is_chief:
            self.manager.restore()
        steps = self.workers.gather(int(self.step))
        if len(set(steps)) > 1:
            raise GazeError(
                f'Workers would go on from different steps ({", ".join(map(str, steps))}): --output_dir='
                f'{self.config.output_dir} must be one folder that all of them share.'
            )
        return int(self.step)

    def finished(self, total):
        """Whether nothing is left to do; says so."""
        if int(self.step) >= total:
            print(f'{self.manager.latest_checkpoint} is at step {int(self.step)}: nothing left of --steps={total}.')
        elif self.early_stop.verdict:
            print(f'{self.manager.latest_checkpoint} is where the run stopped early: {self.early_stop.verdict}.')
        else:
            return False
        return True

    def run(self, steps, first, total, images_per_step):
        """Runs from step `first` to step `total` or to a signal; see `train`."""
        with self._writing_events():
            self.writer = (
                tf.summary.create_file_writer(str(self.events))
                if self.workers.is_chief
                else tf.summary.create_noop_writer()
            )
        self.place = run_folder.place(self.directory)
        # a log file wants a line now and then, a terminal a lively bar
        pause = 0.5 if sys.stderr.isatty() else 15
        try:
            with (
                self.signals,
                tqdm(
                    total=total,
                    initial=first,
                    unit='step',
                    mininterval=pause,
                    dynamic_ncols=True,
                    disable=not self.workers.is_chief,
                ) as bar,
            ):
                self._loop(steps, first, total, images_per_step, bar)
                # who leaves before the chief has saved would be missed
                self.workers.gather(0)
        finally:
            with self._writing_events():
                self.writer.close()
        if self.signals.number and self.workers.is_chief:
            print(
                f'Stopped at step {int(self.step)}, saved as {self.manager.latest_checkpoint}; the same '
                'command goes on from there.'
            )
        elif self.early_stop.verdict and self.workers.is_chief:
            print(f'Stopped early at step {int(self.step)}: {self.early_stop.verdict}.')
        return self.signals.number or 0

    def _loop(self, steps, first, total, images_per_step, bar):
        bar.set_description('building the graph')
        since, step = (time.perf_counter(), first), first
        while step < total:
            # a run may have stopped between two multiples
            count = self.config.steps_per_call - step % self.config.steps_per_call
            self.unread.append(steps(count))
            self.signals.back()
            step += count
            self.step.assign(step)
            if step == first + count:
                bar.set_description('')
            bar.update(count)
            # before a signal is looked at: what it counts must not depend on one
            stop = step % self.config.save_every == 0 and self._stops_early(step)
            last = self._told_to_stop() or step == total or stop
            if last or step % self.config.log_every == 0:
                seconds, done = time.perf_counter() - since[0], step - since[1]
                self._log(bar, images_per_step * done / seconds)
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

    def _stops_early(self, step):
        with self._writing_events():
            stop = self.early_stop.evaluate(step, self.writer)
        # rounding must not end one worker only
        return any(self.workers.gather(int(stop)))

    def _told_to_stop(self):
        """Whether this worker, or any other, has received a signal."""
        found = max(self.workers.gather(self.signals.number or 0))
        if found:
            self.signals.number = found
        return bool(found)

    def _check_place(self):
        if self.workers.is_chief and run_folder.place(self.directory) != self.place:
            raise GazeError(
                f'Training stopped at step {int(self.step)}: its folder {self.directory} was removed, moved '
                'or replaced meanwhile, and with it what it had saved. Put the folder back, and the same command '
                'goes on from its last checkpoint; without it, it begins anew.'
            )

    def _read(self):
        """Reads the terms back from the device; raises GazeError at the first that is not finite."""
        rows = [
            {name: float(value) for name, value in zip(terms, values)}
            for terms in self.unread
            for values in zip(*(np.atleast_1d(value) for value in terms.values()))
        ]
        for number, row in enumerate(rows, start=int(self.step) - len(rows) + 1):
            for name, value in row.items():
                if not math.isfinite(value):
                    self._fail(f'{name} is {value} at step {number}')
        self.rows += rows
        self.unread = []

    def _fail(self, what):
        kept = self.manager.latest_checkpoint or 'none, the run had not saved yet'
        raise GazeError(
            f'Training stopped: {what}. The last good checkpoint is {kept}; a lower learning rate often helps.'
        )

    def _log(self, bar, images_per_second):
        self._read()
        self._check_place()
        terms = {name: sum(row[name] for row in self.rows) / len(self.rows) for name in self.rows[0]}
        self.rows = []
        bar.set_postfix({name: f'{terms[name]:.3g}' for name in self.show if name in terms})
        with self._writing_events(), self.writer.as_default(int(self.step)):
            for name, value in terms.items():
                tf.summary.scalar(name, value)
            tf.summary.scalar('learning_rate', self.stage.learning_rate)
            tf.summary.scalar('images_per_second', images_per_second)

    def _draw(self):
        if not self.workers.is_chief:
            return
        pictures = self.stage.pictures(*self.fixed)
        with self._writing_events(), self.writer.as_default(int(self.step)):
            for name, columns in pictures.items():
                grid = tf.concat(tf.unstack(tf.concat(columns, axis=2)), axis=0)  # a face a row
                tf.summary.image(name, pipeline.to_uint8(grid)[None])

    def _save(self):
        """Saves a checkpoint of finite weights, or raises GazeError and keeps the earlier one."""
        self._read()
        self._check_place()
        for name, variables in self.stage.variables.items():
            if not all(bool(tf.reduce_all(tf.math.is_finite(variable))) for variable in variables):
                self._fail(f'a weight of {name} is not finite after step {int(self.step)}')
        if self.workers.is_chief:
            self.manager.save(checkpoint_number=int(self.step))
