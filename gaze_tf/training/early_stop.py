"""Ending a run before its last step: a term on held-out faces, watched from checkpoint to checkpoint."""

import math

import tensorflow as tf

from gaze_tf.data import pipeline
from gaze_tf.errors import GazeError

FACES = 64  # held-out faces of each domain, at most
AT_ONCE = 8  # of them in one evaluation


class EarlyStop:
    """Counts the checkpoints in a row whose held-out term was no better than the best before them.

    What it has counted is part of the stage's checkpoint (`early_stop`), so that a resumed run ends where an
    uninterrupted one would. With --stop_patience=0 it does nothing and stores nothing.
    """

    def __init__(self, stage, schedule, data, img_size):
        """`stage` with `evaluate(x, y)` → {name: scalar}; `schedule`: PamConfig or GanConfig; `data`: DataConfig.

        Raises GazeError if there are no held-out faces, or no such term.
        """
        self.patience, self._metric = schedule.stop_patience, schedule.stop_metric
        if not self.patience:
            return
        self._stage = stage
        self._batches = _batches(
            *(
                pipeline.fixed_batch(
                    data.data_dir, domain, 'test', img_size, FACES, schedule.twins and domain == 'y', data.skip_corrupt
                )
                for domain in 'xy'
            )
        )
        # strings cannot be elsewhere, and numbers that Python looks at need not be
        with tf.device('CPU:0'):
            self._best, self._best_step = tf.Variable(math.inf), tf.Variable(0, dtype=tf.int64)
            self._count, self._counted = tf.Variable(0, dtype=tf.int64), tf.Variable(self._metric)
        stage.checkpoint.early_stop = tf.train.Checkpoint(
            best=self._best, best_step=self._best_step, count=self._count, metric=self._counted
        )
        terms = stage.evaluate(*self._batches[0])
        if self._metric not in terms:
            raise GazeError(f'--stop_metric={self._metric}: there is no such term, only {", ".join(sorted(terms))}.')

    @property
    def verdict(self):
        """Why the run ends here, in words; '' where it goes on."""
        if not self.patience or self._changed() or int(self._count) < self.patience:
            return ''
        return (
            f'{self._metric} of held-out faces has not improved on its {float(self._best):.4g} of step '
            f'{int(self._best_step)} for {int(self._count)} checkpoints in a row (--stop_patience={self.patience})'
        )

    def evaluate(self, step, writer):
        """To be called before each checkpoint of the schedule: counts it; returns whether the run ends here.

        All terms go to TensorBoard, to `writer`, as held_out/NAME.
        """
        if not self.patience:
            return False
        rows = [self._stage.evaluate(x, y) for x, y in self._batches]
        terms = {name: sum(float(row[name]) for row in rows) / len(rows) for name in rows[0]}
        with writer.as_default(step):
            for name, value in terms.items():
                tf.summary.scalar(f'held_out/{name}', value)
        if self._changed() or terms[self._metric] < float(self._best):
            self._counted.assign(self._metric)
            self._best.assign(terms[self._metric])
            self._best_step.assign(step)
            self._count.assign(0)
        else:
            self._count.assign_add(1)
        return bool(self.verdict)

    def _changed(self):
        """Whether the run was resumed with another --stop_metric, for which the count begins anew."""
        return self._counted.numpy().decode() != self._metric


def _batches(x, y):
    """Pairs of equally large batches of two Batches, whose last faces may be left out."""
    count = min(len(x.image), len(y.image))
    size = min(AT_ONCE, count)
    return [
        [pipeline.Batch(faces.image[start : start + size], faces.eyes[start : start + size]) for faces in (x, y)]
        for start in range(0, count - size + 1, size)
    ]
