"""One device, all local ones, or those of several machines: strategies, and what replicas share.

N replicas compute what one would: each takes its part of every batch, and since all loss terms are means over
a batch, gradients and terms are averaged over the replicas.
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
from typing import NamedTuple

import tensorflow as tf

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
    """The workers of a run, the chief first: {name: 'host:port'}, and the name of this one."""

    addresses: dict
    own: str


def create(run):
    """The strategy that a RunConfig asks for; the default one where there is but one device.

    To be called before anything else makes TensorFlow look for devices. Raises GazeError: TF_CONFIG is missing
    or wrong, or its port cannot be used. Ends the process with status 1, after a message on stderr, where other
    workers do not come within --startup_timeout: TensorFlow's waiting cannot be interrupted otherwise.
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


# a second strategy in a process would use the numbers of the first one's exchanges
@functools.cache
def _mirrored(devices):
    return tf.distribute.MirroredStrategy(devices)


def read_cluster(text):
    """The Cluster that a TF_CONFIG describes; raises GazeError that says what is wrong with it."""

    def wrong(what):
        return GazeError(
            f'--strategy=multi_worker: the environment variable TF_CONFIG {what}. It must be the same on '
            f'every worker but for the index, such as {_EXAMPLE}.'
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
    addresses = {}
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
def _time_limit(cluster, seconds):
    """Ends the process with status 1 and a message if the block, which may keep Python from running, lasts longer."""
    others = [f'{name}={host}' for name, host in cluster.addresses.items() if name != cluster.own]
    watch = pathlib.Path(__file__).with_name('startup_watch.py')
    # the message is another process's, the exit a thread's of C: neither needs this interpreter
    watcher = subprocess.Popen([sys.executable, str(watch), str(seconds), *others], stdin=subprocess.PIPE)
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    with open(os.devnull, 'w', encoding='utf-8') as nowhere:
        faulthandler.dump_traceback_later(seconds + 3, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            watcher.stdin.close()
            watcher.wait()
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _connect(cluster):
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
        raise GazeError(
            f'--strategy=multi_worker: {cluster.own} cannot start at {cluster.addresses[cluster.own]}: '
            f'{first_line(error)}'
        ) from error


class Workers:
    """The processes of a run, by the strategy that they share."""

    def __init__(self, strategy):
        self._several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        resolver = strategy.cluster_resolver if self._several else None
        # the only one that writes files and shows a bar
        self.is_chief = not self._several or (
            resolver.task_id == 0 and (resolver.task_type == 'chief' or 'chief' not in resolver.cluster_spec().jobs)
        )

        @tf.function(autograph=False)
        def gather(number):
            found = strategy.run(lambda: tf.distribute.get_replica_context().all_gather(number[None], axis=0))
            return strategy.experimental_local_results(found)[0]

        self._gather = gather

    def gather(self, number):
        """The numbers (integers) of all workers' replicas in order; all workers have to call it."""
        return self._gather(tf.constant(number, tf.int64)).numpy().tolist() if self._several else [number]

    @contextlib.contextmanager
    def losing_one(self):
        """Turns the errors that follow the loss of another worker into a GazeError."""
        try:
            yield
        except _LOST as error:
            if not self._several:
                raise
            reason = first_line(error.message.partition('aborted by: ')[2] or error)
            raise GazeError(
                'Another worker was lost, or failed: see its own message. The same command on all workers '
                f'goes on from the last checkpoint. (TensorFlow: {reason})'
            ) from error


def mean_over_replicas(tensors):
    """The mean of each tensor over all replicas; to be called by each replica."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, tensors)


def draw_for_replica(draw, count):
    """This replica's part of what `draw` (number of faces → tensor) draws for the faces of all, `count` of each."""
    context = tf.distribute.get_replica_context()
    first = context.replica_id_in_sync_group * count
    return draw(context.num_replicas_in_sync * count)[first : first + count]


def several_steps(strategy, train_step, iterator):
    """A compiled function: number of steps n → their terms {name: [n]}, each step on the iterator's next batches.

    train_step: tf.function of one Batch of each domain (a replica's) → {name: scalar}.
    """
    # what replicas do together must not be in a function of its own (and cannot be compiled by XLA)
    step = train_step if strategy.num_replicas_in_sync == 1 else train_step.python_function
    names = []

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
