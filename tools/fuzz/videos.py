"""python -m tools.fuzz.videos --inputs=500

Tests reading and writing of videos with damaged ones: small videos of every container are made with ffmpeg, and
damaged with a fixed seed: bytes are flipped, lengths exaggerated, and parts cut off, zeroed, moved or joined. A
separate process, which may die, reads each one, writes it with all that is in its file, and reads the result. It may
take 20 seconds and 2 GB.

Prints how many videos of each kind ended how. The exit status is 1 if any was neither written nor refused with a
sentence; --keep=FOLDER keeps those.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

from absl import app, flags

from gaze_tf.errors import GazeError
from gaze_tf.files import new_file
from gaze_tf.media.ffmpeg import find_ffmpeg
from gaze_tf.media.video_files import SUFFIXES, open_video, write_video

flags.DEFINE_integer('inputs', 500, 'Number of damaged videos.', lower_bound=1)
flags.DEFINE_integer('seed', 0, 'Seed of the damage.')
flags.DEFINE_integer('first', 0, 'Number of the first damaged video, to continue an earlier run.', lower_bound=0)
flags.DEFINE_integer('jobs', 2, 'Videos at a time.', lower_bound=1)
flags.DEFINE_integer(
    'seconds', 20, 'Seconds that a video may take; use more if other programs use the machine.', lower_bound=1
)
flags.DEFINE_string('keep', '', 'Folder for videos that failed.')
flags.DEFINE_string('read', '', 'Only read this video, in this process, and print how it ended.')

BYTES = 2_000_000_000
GOOD = 'written', 'written, with a sentence on what is missing', 'refused with a sentence'
_SOUND = '-f', 'lavfi', '-i', 'sine'
# container → ffmpeg's options for it
CONTAINERS = {
    'mp4': [*_SOUND, '-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-metadata', 'title=A talk'],
    'mov': [*_SOUND, '-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-c:a', 'pcm_s16le'],
    'mkv': [*_SOUND, '-c:v', 'libx264', '-pix_fmt', 'yuv444p', '-c:a', 'flac'],
    'webm': [*_SOUND, '-c:v', 'libvpx', '-b:v', '200k', '-c:a', 'libvorbis'],
    'avi': [*_SOUND, '-c:v', 'mpeg4', '-c:a', 'mp3'],
    'ts': [*_SOUND, '-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-c:a', 'aac'],
    'mpg': [*_SOUND, '-c:v', 'mpeg2video', '-c:a', 'mp2'],
    'flv': [*_SOUND, '-c:v', 'flv1', '-ar', '44100', '-c:a', 'mp3'],
    'wmv': [*_SOUND, '-c:v', 'wmv2', '-c:a', 'wmav2'],
    '3gp': ['-c:v', 'h263', '-s', '176x144'],
}


def make(folder):
    """Makes small intact videos; returns {container: bytes}."""
    made = {}
    for container, options in CONTAINERS.items():
        path = folder / f'intact.{container}'
        subprocess.run(
            [
                find_ffmpeg(),
                '-y',
                '-loglevel',
                'error',
                '-f',
                'lavfi',
                '-i',
                'testsrc=size=64x48:rate=25',
                *options,
                '-t',
                '0.5',
                path,
            ],
            check=True,
        )
        made[container] = path.read_bytes()
    return made


def flipped(rng, data, others, everywhere=False):
    """Changes up to 8 bytes, near both ends, where headers are."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        reach = len(data) if everywhere else min(3000, len(data))
        at = rng.randrange(reach)
        data[at if everywhere or rng.random() < 0.5 else -1 - at] ^= rng.randint(1, 255)
    return data


def flipped_anywhere(rng, data, others):
    return flipped(rng, data, others, everywhere=True)


def exaggerated(rng, data, others):
    """Replaces up to 4 whole numbers of 16, 32 or 64 bits near both ends by extreme ones."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        size = rng.choice([2, 4, 8])
        at = rng.randrange(min(3000, len(data) - size))
        at = at if rng.random() < 0.5 else len(data) - size - at
        number = rng.choice([0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 1_000_000])
        data[at : at + size] = (number % 2 ** (8 * size)).to_bytes(size, rng.choice(['big', 'little']))
    return data


def cut_off(rng, data, others):
    return data[: rng.randrange(1, len(data))]


def zeroed(rng, data, others):
    at, size = rng.randrange(len(data)), rng.randint(1, 2000)
    return data[:at] + bytes(len(data[at : at + size])) + data[at + size :]


def moved(rng, data, others):
    """Removes or duplicates a part."""
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:a] + data[b:] if rng.random() < 0.5 else data[:b] + data[a:]


def joined(rng, data, others):
    """Joins the beginning of one video and the end of another."""
    other = rng.choice(others)
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


KINDS = flipped, flipped_anywhere, exaggerated, cut_off, zeroed, moved, joined


def damaged(number, seed, made):
    """Returns (container, kind of damage, bytes) of damaged video `number`."""
    rng = random.Random(f'{seed} {number}')
    container, kind = list(made)[number % len(made)], KINDS[number // len(made) % len(KINDS)]
    return container, kind.__name__, bytes(kind(rng, made[container], list(made.values())))


def read(path):
    """Reads a video, writes it, and reads the result; returns how that ended."""
    output = path.with_name(f'{path.stem}_written{SUFFIXES[len(path.read_bytes()) % len(SUFFIXES)]}')
    try:
        with open_video(path) as video, write_video(output, video.info.size, video.info.fps, audio_from=path) as out:
            count = 0
            for frame in video:
                out.write(frame)
                count += 1
    except GazeError as error:
        if output.exists() or len(str(error).splitlines()) != 1:
            return f'refused badly: {error}'
        return GOOD[2]
    with open_video(output) as again:
        found = sum(1 for _ in again)
    # damage of a sound track is copied, too
    if found != count or again.problem and not video.problem:
        return f'does not open: {found} of {count} frames, {again.problem}'
    return GOOD[1] if video.problem else GOOD[0]


def run(path, seconds):
    """Reads a video in a process that may die; returns (how it ended, megabytes that it took)."""
    process = subprocess.Popen(
        [sys.executable, '-m', __spec__.name, f'--read={path}'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors='replace',
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return f'more than {seconds} seconds', 0
    finally:
        try:
            # also ffmpeg if its parent has died
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    if process.returncode:
        return f'died ({process.returncode}): {(err.strip().splitlines() or [""])[-1]}', 0
    ended, megabytes = json.loads(out)
    return ended if megabytes < BYTES / 1e6 else f'{megabytes} MB', megabytes


def main(argv):
    del argv
    values = flags.FLAGS
    if values.read:
        ended = read(pathlib.Path(values.read))
        most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        print(json.dumps([ended, most // 1000]))
        return 0
    ends, bad, most = collections.Counter(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        made = make(folder)

        def one(number):
            container, kind, data = damaged(number, values.seed, made)
            path = folder / str(number) / f'{number}.{container}'
            path.parent.mkdir()
            path.write_bytes(data)
            try:
                ended, megabytes = run(path, values.seconds)
                if ended not in GOOD and values.keep:
                    pathlib.Path(values.keep).mkdir(parents=True, exist_ok=True)
                    with new_file(pathlib.Path(values.keep) / path.name) as file:
                        file.write(data)
                return container, kind, ended, megabytes
            finally:
                shutil.rmtree(path.parent)

        with concurrent.futures.ThreadPoolExecutor(values.jobs) as pool:
            numbers = range(values.first, values.first + values.inputs)
            for number, (container, kind, ended, megabytes) in zip(numbers, pool.map(one, numbers)):
                most = max(most, megabytes)
                if ended not in GOOD:
                    bad += 1
                    print(f'{number}.{container} ({kind}): {ended}', flush=True)
                ends[container, ended if ended in GOOD else 'badly'] += 1
                ends[kind, ended if ended in GOOD else 'badly'] += 1
    print(f'{values.inputs} videos, {bad} failures; the largest process took {most} MB')
    for group in (CONTAINERS, [kind.__name__ for kind in KINDS]):
        for name in group:
            print(f'{name}: ' + ', '.join(f'{ends[name, end]} {end}' for end in (*GOOD, 'badly') if ends[name, end]))
    return 1 if bad else 0


if __name__ == '__main__':
    app.run(main)
