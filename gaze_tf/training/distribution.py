"""Training on one device, on all local ones, or on those of several machines.

N replicas compute what one would: each takes its part of every batch. All loss terms are means over a batch, so that
gradients and terms are averaged over the replicas.
"""

import contextlib
import faulthandler
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from gaze_tf.config import RunConfig
from gaze_tf.errors import GazeError, first_line

_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
    tf.errors.DeadlineExceededError,
)


class Cluster(NamedTuple):
    """The workers of a run."""

    addresses: dict[str, str]  # {name: 'host:port'}, the chief first
    own: str  # the name of this worker


def create(run: RunConfig) -> tf.distribute.Strategy:
    """The strategy that a RunConfig asks for; TensorFlow's default if there is only one device.

    It must be called before anything else makes TensorFlow look for devices. Raises GazeError if TF_CONFIG is missing
    or wrong, or its port cannot be used. Ends the process with status 1, after a message on stderr, if the other
    workers do not appear within `startup_timeout`: TensorFlow cannot be interrupted while it waits.
    """
    if run.strategy == 'multi_worker':
        cluster = read_cluster(os.environ.get('TF_CONFIG', ''))
        if len(cluster.addresses) > 1:
            with _time_limit(cluster, run.startup_timeout):
                return _connect(cluster)
    if run.strategy != 'one':
        devices = tf.config.list_logical_devices('GPU') or tf.config.list_logical_devices('CPU')
        if len(devices) > 1:
            return _mirrored(tuple(device.name for device in devices))
    return tf.distribute.get_strategy()


# a second strategy in a process would reuse the numbers by which the first one tells its exchanges apart
@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(devices)


def read_cluster(text: str) -> Cluster:
    """The Cluster that a TF_CONFIG describes. Raises GazeError that says what is wrong with it."""

    def wrong(what: str) -> GazeError:
        return GazeError(
            f'`strategy=multi_worker`: the environment variable TF_CONFIG {what}. It must be the same on '
            f'every worker, except for the index, such as {_EXAMPLE}.'
        )

    if not text:
        raise wrong('is not set')
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise wrong(f'is not JSON ({error})') from error
    jobs = values.get('cluster') if isinstance(values, dict) else None
    if not isinstance(jobs, dict) or not jobs or not set(jobs) <= {'chief', 'worker'}:
        raise wrong('has no "cluster" of workers (and at most one "chief")')
    addresses: dict[str, str] = {}
    for job in sorted(jobs):
        hosts = jobs[job]
        if not isinstance(hosts, list) or job == 'chief' and len(hosts) != 1:
            raise wrong(f'must have a list of addresses for "{job}", one for a chief')
        addresses.update({f'{job} {index}': host for index, host in enumerate(hosts)})
    for host in addresses.values():
        name, _, port = host.rpartition(':') if isinstance(host, str) else ('', '', '')
        if not name or not port.isdecimal() or not 0 < int(port) < 65536:
            raise wrong(f'has the address {host!r}, which is not host:port')
    if len(set(addresses.values())) < len(addresses):
        raise wrong('has an address twice')
    task = values.get('task')
    own = f'{task.get("type")} {task.get("index")}' if isinstance(task, dict) else None
    if own not in addresses:
        raise wrong(f'has the "task" {task}, which is none of its cluster ({", ".join(addresses)})')
    return Cluster(addresses, own)


@contextlib.contextmanager
def _time_limit(cluster: Cluster, seconds: int) -> Iterator[None]:
    """Ends the process with status 1 and a message if the block takes longer, even if Python cannot run meanwhile."""
    others = [f'{name}={host}' for name, host in cluster.addresses.items() if name != cluster.own]
    watch = pathlib.Path(__file__).with_name('startup_watch.py')
    # another process prints the message, and a C thread ends this one: neither needs this interpreter
    watcher = subprocess.Popen([sys.executable, str(watch), str(seconds), *others], stdin=subprocess.PIPE)
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    with open(os.devnull, 'w', encoding='utf-8') as nowhere:
        faulthandler.dump_traceback_later(seconds + 3, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            if watcher.stdin:
                watcher.stdin.close()
            watcher.wait()
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _connect(cluster: Cluster) -> tf.distribute.Strategy:
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
        raise GazeError(
            f'`strategy=multi_worker`: {cluster.own} cannot start at {cluster.addresses[cluster.own]}: '
            f'{first_line(error)}'
        ) from error


class Workers:
    """The processes of a run, which share a strategy."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self._several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        resolver: Any = strategy.cluster_resolver if self._several else None
        # only the chief writes files and shows a progress bar
        self.is_chief = not self._several or (
            resolver.task_id == 0 and (resolver.task_type == 'chief' or 'chief' not in resolver.cluster_spec().jobs)
        )

        @tf.function(autograph=False)
        def gather(number):
            found = strategy.run(lambda: tf.distribute.get_replica_context().all_gather(number[None], axis=0))
            return strategy.experimental_local_results(found)[0]

        self._gather = gather

    def gather(self, number: int) -> list[int]:
        """The numbers of all replicas of all workers, in order. All workers must call it."""
        return self._gather(tf.constant(number, tf.int64)).numpy().tolist() if self._several else [number]

    @contextlib.contextmanager
    def losing_one(self) -> Iterator[None]:
        """Turns the errors that follow the loss of another worker into a GazeError."""
        try:
            yield
        except _LOST as error:
            if not self._several:
                raise
            reason = first_line(error.message.partition('aborted by: ')[2] or error)
            raise GazeError(
                'Another worker was lost or failed: see its own message. Run the same command on all workers to go on '
                f'from the last checkpoint. (TensorFlow: {reason})'
            ) from error


def mean_over_replicas(tensors: Any) -> Any:
    """The mean over all replicas of a tensor or of each tensor in a list. Each replica must call it."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, tensors)


def draw_for_replica(draw: Callable[[tf.Tensor], tf.Tensor], count: tf.Tensor) -> tf.Tensor:
    """This replica's part of what `draw` (number of faces → tensor) draws for all replicas, of `count` faces each."""
    context = tf.distribute.get_replica_context()
    first = context.replica_id_in_sync_group * count
    return draw(context.num_replicas_in_sync * count)[first : first + count]


def several_steps(
    strategy: tf.distribute.Strategy, train_step: Any, iterator: Any
) -> Callable[[int], dict[str, tf.Tensor]]:
    """A compiled function: number of steps n → their terms {name: [n]}, each step on the next batches of the iterator.

    train_step: tf.function of one replica's Batch of each domain → {name: scalar}.
    """
    # what replicas do together must not be in a function of its own, and XLA cannot compile it
    step = train_step if strategy.num_replicas_in_sync == 1 else train_step.python_function
    names: list[str] = []

    def on_replica(x, y):
        terms = step(x, y)
        names[:] = terms
        return mean_over_replicas(tf.stack(list(terms.values())))

    def one_step(_):
        return strategy.experimental_local_results(strategy.run(on_replica, args=iterator.get_next()))[0]

    @tf.function(autograph=False)
    def steps(count):
        rows = tf.map_fn(one_step, tf.range(count), fn_output_signature=tf.float32, parallel_iterations=1)
        return dict(zip(names, tf.unstack(rows, num=len(names), axis=1)))

    return lambda count: steps(tf.constant(count))
