"""The training loop: steps, checkpoints, summaries, and when to stop."""

import contextlib
import logging
import math
import pathlib
import sys
import time
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from gaze_tf.config import RunConfig
from gaze_tf.data import pipeline
from gaze_tf.data.pipeline import Batch
from gaze_tf.errors import GazeError
from gaze_tf.training import checkpoints, run_folder
from gaze_tf.training.distribution import Workers
from gaze_tf.training.early_stop import EarlyStop
from gaze_tf.training.stage import Stage, Terms
from gaze_tf.training.stop_signals import StopSignals

_LOG = logging.getLogger(__name__)


class Loop:
    """One run of the training loop."""

    def __init__(
        self,
        stage: Stage,
        config: RunConfig,
        show: tuple[str, ...],
        fixed: list[Batch],
        early_stop: EarlyStop,
        workers: Workers,
    ):
        """
        Args:
          stage: what is trained.
          config: the folder of the run, and the steps between what is written there.
          show: names of the terms that the progress bar shows, if they exist.
          fixed: a Batch of each domain, for the pictures.
          early_stop: decides at every checkpoint whether the run goes on.
          workers: the processes of the run.
        """
        self.stage, self.config, self.show, self.fixed = stage, config, show, fixed
        directory = pathlib.Path(config.output_dir)
        self.early_stop, self.workers = early_stop, workers
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.manager = checkpoints.manager(directory, self.step, stage.checkpoint, config.keep)
        self.directory = directory
        self.place: tuple[int, int] | None = None
        self.events, self.writer = directory / 'tensorboard', tf.summary.create_noop_writer()
        self.unread: list[Terms] = []  # terms of the newest steps, still on the device
        self.rows: list[dict[str, float]] = []  # terms of the steps since the last scalars, read and found finite
        self.signals = StopSignals()

    def resume(self) -> int:
        """Restores the newest good checkpoint, if there is one; returns the number of steps done."""
        # the chief first, which sets broken files aside
        path = self.manager.restore() if self.workers.is_chief else None
        self.workers.gather(0)
        if path:
            _LOG.info('Resuming from %s.', path)
        if not self.workers.is_chief:
            self.manager.restore()
        steps = self.workers.gather(int(self.step))
        if len(set(steps)) > 1:
            raise GazeError(
                f'Workers would go on from different steps ({", ".join(map(str, steps))}): '
                f'`output_dir={self.config.output_dir}` must be one folder that all of them share.'
            )
        return int(self.step)

    def finished(self, total: int) -> bool:
        """Whether nothing is left to do; logs why."""
        path, verdict = self.manager.latest_checkpoint, self.early_stop.verdict
        if int(self.step) >= total:
            _LOG.info('%s is at step %d: nothing left of `steps=%d`.', path, int(self.step), total)
        elif verdict:
            _LOG.info('%s is where the run stopped early: %s.', path, verdict)
        else:
            return False
        return True

    def run(self, steps: Callable[[int], Terms], first: int, total: int, images_per_step: int) -> int:
        """Runs from step `first` to step `total`, or until a signal or the early stop.

        Args:
          steps: number of steps n → their terms, scalars by name, or [n] where n may be above 1.
          first, total: the number of steps done, and the number to do altogether.
          images_per_step: images of both domains in one step.

        Returns:
          0, or the number of the signal.
        """
        if self.workers.is_chief:
            with self._writing_events():
                self.writer = tf.summary.create_file_writer(str(self.events))
        self.place = run_folder.place(self.directory)
        # seconds between two updates of the bar: often on a terminal, seldom in a log file
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
                # a worker that left before the chief has saved would count as lost
                self.workers.gather(0)
        finally:
            with self._writing_events():
                self.writer.close()
        if self.signals.number and self.workers.is_chief:
            _LOG.info(
                'Stopped at step %d, saved as %s; the same command goes on from there.',
                int(self.step),
                self.manager.latest_checkpoint,
            )
        elif self.early_stop.verdict and self.workers.is_chief:
            _LOG.info('Stopped early at step %d: %s.', int(self.step), self.early_stop.verdict)
        return self.signals.number or 0

    def _loop(self, steps: Callable[[int], Terms], first: int, total: int, images_per_step: int, bar: tqdm) -> None:
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
            # before asking for a signal: what the early stop counts must not depend on one
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
            # (a signal since `last` was found is for the next step, which saves as well)
            if last:
                return

    def _writing_events(self) -> contextlib.AbstractContextManager:
        return self.manager.writing(self.events)

    def _stops_early(self, step: int) -> bool:
        with self._writing_events():
            stop = self.early_stop.evaluate(step, self.writer)
        # all workers together: rounding might end only one of them
        return any(self.workers.gather(int(stop)))

    def _told_to_stop(self) -> bool:
        """Whether this worker, or any other, has received a signal."""
        found = max(self.workers.gather(self.signals.number or 0))
        if found:
            self.signals.number = found
        return bool(found)

    def _check_place(self) -> None:
        if self.workers.is_chief and run_folder.place(self.directory) != self.place:
            raise GazeError(
                f'Training stopped at step {int(self.step)}: its folder {self.directory} was removed, moved '
                'or replaced meanwhile. Put it back, and the same command goes on from the last checkpoint in it; '
                'without it, the run begins anew.'
            )

    def _read(self) -> None:
        """Reads the terms back from the device; raises GazeError if one is not finite."""
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

    def _fail(self, what: str) -> NoReturn:
        kept = self.manager.latest_checkpoint or 'none: the run had not saved yet'
        raise GazeError(
            f'Training stopped: {what}. The last good checkpoint is {kept}; a lower learning rate often helps.'
        )

    def _log(self, bar: tqdm, images_per_second: float) -> None:
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

    def _draw(self) -> None:
        if not self.workers.is_chief:
            return
        pictures = self.stage.pictures(*self.fixed)
        with self._writing_events(), self.writer.as_default(int(self.step)):
            for name, columns in pictures.items():
                grid = tf.concat(tf.unstack(tf.concat(columns, axis=2)), axis=0)  # one face in each row
                tf.summary.image(name, pipeline.to_uint8(grid)[None])

    def _save(self) -> None:
        """Saves a checkpoint of finite weights, or raises GazeError and keeps the earlier one."""
        self._read()
        self._check_place()
        for name, variables in self.stage.variables.items():
            if not all(bool(tf.reduce_all(tf.math.is_finite(variable))) for variable in variables):
                self._fail(f'a weight of {name} is not finite after step {int(self.step)}')
        if self.workers.is_chief:
            self.manager.save(checkpoint_number=int(self.step))
