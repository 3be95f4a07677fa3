"""python startup_watch.py SECONDS NAME=HOST:PORT...: prints a message if its stdin is open after that time.

A process of its own, since TensorFlow lets no Python run while it waits for other workers.
"""

import select
import signal
import socket
import sys


def silent(workers: tuple[str, ...]) -> list[str]:
    """The workers ('name=host:port') whose port does not answer, as 'name at host:port'."""
    found = []
    for worker in workers:
        host, _, port = worker.partition('=')[2].rpartition(':')
        try:
            # all of them together must be asked within a second or two
            socket.create_connection((host.strip('[]'), int(port)), timeout=1.5 / len(workers)).close()
        except OSError:
            found.append(worker.replace('=', ' at '))
    return found


def main(seconds: str, *workers: str) -> None:
    # Ctrl-C also reaches this process; standard input is closed when the other process ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started, _, _ = select.select([sys.stdin], [], [], float(seconds))
    if not started:
        missing = silent(workers)
        problem = (
            f'no answer from {", ".join(missing)}'
            if missing
            else 'all ports answer, but not all are workers of this run'
        )
        print(
            f'gaze-tf: the workers of TF_CONFIG did not come together within {seconds} seconds: {problem}. Start '
            'the same command on every one with the same cluster in TF_CONFIG and see that they reach each other; '
            'the option startup_timeout sets the limit.',
            file=sys.stderr,
            flush=True,
        )


if __name__ == '__main__':
    main(*sys.argv[1:])
