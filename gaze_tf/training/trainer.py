"""Training a stage: its data, its devices, its folder, and then the loop. Both stages use it."""

import contextlib
import logging
from collections.abc import Callable

import tensorflow as tf

from gaze_tf import config as config_lib
from gaze_tf.config import DataConfig, RunConfig
from gaze_tf.data import pipeline, records
from gaze_tf.data.pipeline import Batch
from gaze_tf.errors import GazeError
from gaze_tf.files import alone_in
from gaze_tf.training import distribution, run_folder
from gaze_tf.training.early_stop import EarlyStop
from gaze_tf.training.job import TrainingJob
from gaze_tf.training.loop import Loop
from gaze_tf.training.stage import Stage, Terms

PICTURES = 8  # faces of each domain in the TensorBoard grids

_LOG = logging.getLogger(__name__)


def train(make_stage: Callable[[bool], Stage], job: TrainingJob, show: tuple[str, ...]) -> int:
    """Trains a stage up to its number of steps; a run that is in the output folder already is resumed.

    Args:
      make_stage: xla (whether to compile the step with XLA) → the stage.
      job: configurations; they are written to config.json beside the checkpoints.
      show: names of the terms that the progress bar shows, if they exist.

    Returns:
      0, or the number of the signal that stopped the run early (after saving).

    Raises:
      GazeError: the data is bad; the folder holds a run with another model or other data, one that is still going on,
        or no checkpoint that can be read, or it was removed; a loss is not finite; a file cannot be written; numbers of
        steps or devices do not fit; another worker was lost.
    """
    if job.run.deterministic:
        _make_deterministic(job.run)
    job.run.check_multiple('steps', job.stage.steps)
    strategy = distribution.create(job.run)
    workers, xla = distribution.Workers(strategy), use_xla(job.run.xla, strategy.num_replicas_in_sync)
    if job.stage.batch_size % strategy.num_replicas_in_sync:
        raise GazeError(
            f'`batch_size={job.stage.batch_size}` must be a multiple of {strategy.num_replicas_in_sync}: it '
            'is the batch of all devices together.'
        )
    # before the networks are built: bad data should be reported at once
    pipeline.check_frame(job.data.data_dir, job.networks.frame_eyes)
    with alone_in(job.directory) if workers.is_chief else contextlib.nullcontext(), workers.losing_one():
        return _train(make_stage, job, show, strategy, workers, xla)


def use_xla(choice: str, replicas: int = 1) -> bool:
    """Whether `xla=auto|on|off` means to compile with XLA on this machine. Raises GazeError if that is impossible."""
    if replicas > 1:
        if choice == 'on':
            raise GazeError(
                f'`xla=on` cannot be used with {replicas} devices (`strategy`), as XLA does not compile their '
                'exchange: leave it out.'
            )
        return False
    return choice == 'on' or (choice == 'auto' and bool(tf.config.list_physical_devices('GPU')))


def _train(
    make_stage: Callable[[bool], Stage],
    job: TrainingJob,
    show: tuple[str, ...],
    strategy: tf.distribute.Strategy,
    workers: distribution.Workers,
    xla: bool,
) -> int:
    """`train`, while no other process uses the folder."""
    manifest = records.load_manifest(job.data.data_dir)
    run_folder.check(job, manifest)
    checksums = run_folder.checksums(job.directory)
    pipeline.check_contents(job.data.data_dir, checksums, job.data.skip_corrupt)
    fixed = _faces_to_draw(job.data, job.networks.img_size)
    tf.keras.utils.set_random_seed(job.run.seed)
    with strategy.scope():
        stage = make_stage(xla)
    early_stop = EarlyStop(stage, job.stage, job.data, job.networks.img_size)
    loop = Loop(stage, job.run, show, fixed, early_stop, workers)
    first = loop.resume()
    if loop.finished(job.stage.steps):
        return 0
    if workers.is_chief:
        changes = run_folder.changed(job)
        if first and changes:
            _LOG.info('Going on with changed options, so not as an uninterrupted run would: %s.', changes)
        # only now: a start that was refused must not claim the folder
        with loop.manager.writing(job.directory / config_lib.CONFIG_NAME):
            run_folder.write(job, manifest, checksums)
    steps = _make_steps(strategy, stage, job, first)
    return loop.run(steps, first, job.stage.steps, 2 * job.stage.batch_size)


def _make_steps(strategy: tf.distribute.Strategy, stage: Stage, job: TrainingJob, first: int) -> Callable[[int], Terms]:
    """From step `first` on: number of steps n → their terms, scalars by name, or [n] where n may be above 1."""
    replicas = strategy.num_replicas_in_sync

    def streams(context):
        """Batches of both domains, in the parts that this worker's replicas take in turn."""
        local = replicas // context.num_input_pipelines
        own = range(context.input_pipeline_id * local, (context.input_pipeline_id + 1) * local)
        both = tuple(_stream(job, domain, first, replicas, own) for domain in 'xy')
        # without it, workers ask each other before every batch whether there is one
        return tf.data.Dataset.zip(both).apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    def explained(read):
        try:
            return read()
        # the last three, depending on what waits for the batch: the stream has ended
        except (
            *pipeline.UNREADABLE,
            tf.errors.FailedPreconditionError,
            tf.errors.OutOfRangeError,
            StopIteration,
        ) as error:
            raise pipeline.explain_corruption(job.data.data_dir, error, job.data.skip_corrupt) from error

    batches = iter(strategy.distribute_datasets_from_function(streams))
    if replicas == job.run.steps_per_call == 1:
        return lambda count: stage.train_step(*explained(lambda: next(batches)))
    steps = distribution.several_steps(strategy, stage.train_step, batches)
    return lambda count: explained(lambda: steps(count))


def _stream(job: TrainingJob, domain: str, first: int, parts: int, own: range) -> tf.data.Dataset:
    """The training batches of a domain from number `first` on: the parts `own` of each."""
    return pipeline.train_stream(
        job.data.data_dir,
        domain,
        job.networks.img_size,
        job.stage.batch_size,
        job.run.seed,
        flip=job.data.flip,
        skip_corrupt=job.data.skip_corrupt,
        start_step=first,
        parts=parts,
        own=own,
        twins=job.stage.twins and domain == 'y',
        augment=job.augment,
    )


def _make_deterministic(run: RunConfig) -> None:
    # the native crop of eye boxes, which XLA does not use, has a deterministic gradient on CPUs only
    if tf.config.list_physical_devices('GPU') and not use_xla(run.xla):
        raise GazeError('`deterministic` on a GPU needs XLA: leave out `xla=off`.')
    tf.config.experimental.enable_op_determinism()


def _faces_to_draw(data: DataConfig, img_size: int) -> list[Batch]:
    """A Batch of each domain: held-out faces, or training faces of a domain without held-out ones."""
    manifest = records.load_manifest(data.data_dir)
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
