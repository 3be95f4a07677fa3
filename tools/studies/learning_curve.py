"""python -m tools.studies.learning_curve --data=data/people --test_x=117 --test_y=176 --output_dir=runs/learning_curve

How a model improves with the number of photos, at the same budget (docs/people.md). From the training faces of a folder
of `gaze-tf turn-dataset` it picks 100, 300 and 1,000 photos at random, each pick part of the next, with all faces of
domain Y that were made from them. For each pick it pretrains PAM, trains GCM and GAM with flags/people*.flags for
--steps, and measures the model on the folder's held-out people. Every stage is a command that can be typed by hand.

    <output_dir>/N/report/      the report of the model of N photos: index.html, report.json
    <output_dir>/table.md       a row for each

Started again, it continues where it stopped.
"""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys

from absl import app, flags

from gaze_tf.files import write_text

# before TensorFlow is imported, in every stage: its start-up chatter buries what they say
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

ROOT = pathlib.Path(__file__).resolve().parents[2]
FRAME = ['--img_size=128', '--frame_eyes=0.2,0.45,0.8,0.45', '--twins']
PRESET = f'--flagfile={ROOT}/flags/people'


def pick(data, out, count, held_out):
    """Writes a data set of `count` photos of domain X and what was made of them, with everybody held out; True if there
    are.

    Its images are links to those of `data`. held_out: faces at the end of X and of Y.
    """
    rows = {domain: (data / f'{domain}.txt').read_text().splitlines() for domain in '10'}
    training = {domain: rows[domain][: -held_out[domain]] for domain in '10'}
    names = [row.split()[0] for row in training['1']]
    if count > len(names):
        return False
    chosen = set(random.Random(0).sample(sorted(names), len(names))[:count])
    own = {
        '1': [row for row in training['1'] if row.split()[0] in chosen],
        '0': [row for row in training['0'] if row.split()[0].rpartition('_')[0] in chosen],
    }
    out.mkdir(parents=True, exist_ok=True)
    for folder in ('1', '0', 'twins'):
        if not (out / folder).is_symlink():
            (out / folder).symlink_to((data / folder).resolve(), target_is_directory=True)
    for domain, kept in own.items():
        write_text(out / f'{domain}.txt', '\n'.join([*kept, *rows[domain][-held_out[domain] :]]) + '\n')
    return True


def stages(data, own, counts, steps):
    """Command lines of one model; `counts` are the flags of the held-out faces."""
    gaze_tf = [sys.executable, '-m', 'gaze_tf.cli.main']
    people = f'{PRESET}.flags'
    return [
        [*gaze_tf, 'prepare', f'--data_dir={own}/faces', f'--output_dir={own}/records', *FRAME, *counts],
        [
            *gaze_tf,
            'pretrain',
            people,
            f'{PRESET}_pretrain.flags',
            f'--data_dir={own}/records',
            f'--output_dir={own}/pam',
        ],
        [
            *gaze_tf,
            'train',
            people,
            f'{PRESET}_train.flags',
            f'--steps={steps}',
            f'--decay_start={steps * 3 // 5}',
            f'--data_dir={own}/records',
            f'--pam_checkpoint={own}/pam',
            f'--output_dir={own}/gaze',
        ],
        [*gaze_tf, 'export', f'--checkpoint={own}/gaze', f'--output_dir={own}/saved_model'],
        [*gaze_tf, 'evaluate', f'--model={own}/saved_model', f'--data={data}', *counts, f'--output={own}/report'],
    ]


def row(own, count, faces):
    """A line of the table, of the report of one model."""
    results = json.loads((own / 'report' / 'report.json').read_text())['results']
    offset = results['iris_offset']
    numbers = [
        f'{offset["along_after"]["mean"]:.3f}',
        f'{results["calibrated"]["after"]["mean"]:.1f}',
        f'{results["twin"]["psnr_twin"]["mean"]:.2f}',
        f'{results["identity"]["iris_de_twin"]["mean"]:.1f}',
        f'{offset["at_camera_moved_along"]["mean"]:.3f}',
    ]
    return f'| {count} | {faces} | {" | ".join(numbers)} |'


def run(data, out, photos, steps, held_out):
    """The whole curve; returns the exit status."""
    counts = [f'--test_x={held_out["1"]}', f'--test_y={held_out["0"]}']
    table = [
        '| photos | turned faces | iris offset along | degrees | PSNR to the twin, dB | iris color, ΔE | X moved |',
        '|---|---|---|---|---|---|---|',
    ]
    for count in photos:
        own = out / str(count)
        if not pick(data, own / 'faces', count, held_out):
            print(f'--photos: {data} has fewer than {count} faces of domain X to train on.', file=sys.stderr)
            return 1
        if not (own / 'report').exists():
            shutil.rmtree(own / 'saved_model', ignore_errors=True)
            for command in stages(data, own, counts, steps):
                print(f'\n{count} photos: {command[3]}', flush=True)
                status = subprocess.run(command).returncode
                if status:
                    print(f'Stopped at {count} photos ({command[3]}): its message is above.', file=sys.stderr)
                    return status
        faces = len((own / 'faces' / '0.txt').read_text().splitlines()) - held_out['0']
        table.append(row(own, count, faces))
        write_text(out / 'table.md', '\n'.join(table) + '\n')
    print('\n'.join(['', *table]))
    return 0


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    given = flags.FLAGS
    data = pathlib.Path(given.data)
    if not (data / '0.txt').is_file() or not (data / 'twins').is_dir():
        sys.exit(f'--data={data} is no folder of gaze-tf turn-dataset: 0.txt or twins/ is missing.')
    if not all(text.isdecimal() and int(text) for text in given.photos):
        sys.exit(f'--photos={",".join(given.photos)}: give whole numbers from 1 on, such as 100,300,1000.')
    sys.exit(
        run(
            data,
            pathlib.Path(given.output_dir),
            [int(text) for text in given.photos],
            given.steps,
            {'1': given.test_x, '0': given.test_y},
        )
    )


if __name__ == '__main__':
    flags.DEFINE_string('data', 'data/people', 'Folder of gaze-tf turn-dataset.')
    flags.DEFINE_string('output_dir', 'runs/learning_curve', 'Folder for everything that is made.')
    flags.DEFINE_list('photos', ['100', '300', '1000'], 'Numbers of photos to train with.')
    flags.DEFINE_integer('steps', 400, 'Steps of each training of GCM and GAM.', lower_bound=1)
    flags.DEFINE_integer('test_x', 117, 'Faces at the end of domain X that are held out.', lower_bound=1)
    flags.DEFINE_integer('test_y', 176, 'Faces at the end of domain Y that are held out.', lower_bound=1)
    app.run(main)
