"""Ends a run before its last step, when a term on held-out faces no longer improves."""

import math

import tensorflow as tf

from gaze_tf.config import DataConfig, GanConfig, PamConfig
from gaze_tf.data import pipeline
from gaze_tf.data.pipeline import Batch
from gaze_tf.errors import GazeError
from gaze_tf.training.stage import Stage

FACES = 64  # held-out faces of each domain, at most
AT_ONCE = 8  # of them in one evaluation


class EarlyStop:
    """Counts the checkpoints in a row whose term on held-out faces was no better than the best before them.

    The count is part of the stage's checkpoint (`early_stop`), so that a resumed run ends where an uninterrupted one
    would. With `stop_patience=0` it does nothing and stores nothing.
    """

    def __init__(self, stage: Stage, config: PamConfig | GanConfig, data: DataConfig, img_size: int):
        """
        Args:
          stage: what is trained.
          config: its options, with the term and the patience.
          data: where the held-out faces are.
          img_size: their side in pixels.

        Raises:
          GazeError: there are no held-out faces, or no such term.
        """
        self.patience, self._metric = config.stop_patience, config.stop_metric
        if not self.patience:
            return
        self._stage = stage
        self._batches = _batches(
            *(
                pipeline.fixed_batch(
                    data.data_dir, domain, 'test', img_size, FACES, config.twins and domain == 'y', data.skip_corrupt
                )
                for domain in 'xy'
            )
        )
        # strings can only be on a CPU, and numbers that Python reads may as well be there
        with tf.device('CPU:0'):
            self._best, self._best_step = tf.Variable(math.inf), tf.Variable(0, dtype=tf.int64)
            self._count, self._counted = tf.Variable(0, dtype=tf.int64), tf.Variable(self._metric)
        stage.checkpoint.early_stop = tf.train.Checkpoint(
            best=self._best, best_step=self._best_step, count=self._count, metric=self._counted
        )
        terms = stage.evaluate(*self._batches[0])
        if self._metric not in terms:
            raise GazeError(
                f'`stop_metric={self._metric}` is not a term of this training. The terms are '
                f'{", ".join(sorted(terms))}.'
            )

    @property
    def verdict(self) -> str:
        """Why the run ends here, in words; '' if it goes on."""
        if not self.patience or self._changed() or int(self._count) < self.patience:
            return ''
        return (
            f'{self._metric} of held-out faces has not improved on its {float(self._best):.4g} of step '
            f'{int(self._best_step)} for {int(self._count)} checkpoints in a row (`stop_patience={self.patience}`)'
        )

    def evaluate(self, step: int, writer: tf.summary.SummaryWriter) -> bool:
        """Counts a checkpoint, before it is written; returns whether the run ends here.

        All terms are written to TensorBoard as held_out/NAME, by `writer`.
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

    def _changed(self) -> bool:
        """Whether the run was resumed with another `stop_metric`, for which the count begins anew."""
        return self._counted.numpy().decode() != self._metric


def _batches(x: Batch, y: Batch) -> list[list[Batch]]:
    """Pairs of equally large batches of two Batches, without their last faces where they do not fill a batch."""
    count = min(len(x.image), len(y.image))
    size = min(AT_ONCE, count)
    return [
        [Batch(faces.image[start : start + size], faces.eyes[start : start + size]) for faces in (x, y)]
        for start in range(0, count - size + 1, size)
    ]
