"""python -m tools.training_demo --output_dir=runs/training-demo

A whole training in about 20 minutes on 2 CPU cores: draws faces, packs them, pretrains PAM, trains GCM and GAM with
flags/benchmark_cpu*.flags (once, and with lsgan), exports the SavedModel, corrects and animates held-out faces, and
measures the model on all of them. Every stage is a command that users type; started again, an interrupted run continues
where it was.
"""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

from absl import app, flags

from gaze_tf.files import new_file, write_text

# before TensorFlow is imported, here and in every stage: its start-up chatter buries the progress
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

ROOT = pathlib.Path(__file__).resolve().parents[1]
IMG_SIZE, NUM_X, NUM_Y, TEST_X, TEST_Y = 128, 3500, 1500, 20, 100
# with lsgan one training does what takes two with the paper's loss
TRAINING = ['--loss_type=lsgan', '--steps=1500', '--decay_start=750', '--lam_r=90']
SHOWN = 12  # held-out faces, the last ones of domain Y


def stages(out):
    """(headline, command line) of each stage."""
    gaze_tf = [sys.executable, '-m', 'gaze_tf.cli.main']
    preset = [f'--flagfile={ROOT}/flags/benchmark_cpu.flags']
    held_out, size = [f'--test_x={TEST_X}', f'--test_y={TEST_Y}'], f'--img_size={IMG_SIZE}'
    model = f'--model={out}/saved_model'
    shown = [model, f'--input={out}/faces', f'--last={SHOWN}']
    return [
        (
            'Rendering faces',
            [
                *gaze_tf,
                'draw-dataset',
                f'--output_dir={out}/faces',
                f'--num_x={NUM_X}',
                f'--num_y={NUM_Y}',
                *held_out,
                size,
            ],
        ),
        (
            'Packing them into TFRecords',
            [*gaze_tf, 'prepare', f'--data_dir={out}/faces', f'--output_dir={out}/records', *held_out, size],
        ),
        (
            'Pretraining the content encoder (PAM)',
            [
                *gaze_tf,
                'pretrain',
                *preset,
                f'--flagfile={ROOT}/flags/benchmark_cpu_pretrain.flags',
                f'--data_dir={out}/records',
                f'--output_dir={out}/pam',
            ],
        ),
        (
            'Training correction (GCM) and animation (GAM)',
            [
                *gaze_tf,
                'train',
                *preset,
                f'--flagfile={ROOT}/flags/benchmark_cpu_train.flags',
                *TRAINING,
                f'--data_dir={out}/records',
                f'--pam_checkpoint={out}/pam',
                f'--output_dir={out}/gaze',
            ],
        ),
        (
            'Exporting the SavedModel',
            [*gaze_tf, 'export', f'--checkpoint={out}/gaze', f'--output_dir={out}/saved_model'],
        ),
        ('Correcting held-out faces', [*gaze_tf, 'correct', *shown, '--format=png', f'--output={out}/corrected']),
        ('Animating held-out faces', [*gaze_tf, 'animate', *shown, f'--output={out}/animated']),
        (
            'Measuring on held-out faces',
            [*gaze_tf, 'evaluate', model, f'--data={out}/faces', *held_out, f'--output={out}/report', '--overwrite'],
        ),
    ]


def run(out):
    """Runs every stage, then draws grid.png; returns the exit status of the first stage that fails."""
    # one version, of the newest checkpoint; without this each run of the demo would add one
    shutil.rmtree(out / 'saved_model', ignore_errors=True)
    seconds, plan = {}, stages(out)
    for number, (headline, command) in enumerate(plan, 1):
        print(f'\n[{number}/{len(plan)}] {headline}', flush=True)
        start = time.perf_counter()
        status = subprocess.run(command).returncode
        if status:
            print(f'The demo stopped in stage {number} ({headline}): its message is above.', file=sys.stderr)
            return status
        seconds[headline] = round(time.perf_counter() - start, 1)

    # Linux counts in kilobytes; the largest of the stages' processes
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    timing = {'seconds': seconds, 'total_seconds': round(sum(seconds.values()), 1), 'peak_memory_gb': round(peak, 2)}
    write_text(out / 'timing.json', json.dumps(timing, indent=1) + '\n')
    from tools import demo_grid  # here: TensorFlow takes seconds to import

    with new_file(out / 'grid.png') as file:
        demo_grid.draw(out, SHOWN).save(file, 'PNG')
    print(closing(out, timing, json.loads((out / 'report' / 'report.json').read_text())))
    return 0


def closing(out, timing, report):
    """What a run says at its end."""
    gaze, order = report['results']['gaze'], report['results']['animation']['rank_correlation']['mean']
    before, after, error = gaze['before']['mean'], gaze['after']['mean'], report['estimator']['own_error']['mean']
    minutes, faces, nearer = timing['total_seconds'] / 60, gaze['after']['faces'], gaze['smaller']
    return f"""
Done in {minutes:.1f} minutes, with {timing['peak_memory_gb']:.1f} GB of memory. On the {faces} held-out faces
  the eyes look {before:.1f} degrees past the camera, corrected {after:.1f}; nearer to it on {nearer:.0%} of the faces
  rank correlation of alpha and gaze in animations (1: always in order): {order:.2f}
Degrees are read by a network that errs by {error:.1f}, and tell little where eyes are badly drawn.

Look at
  {out}/report/index.html   first: all results, with pictures and plots
  {out}/grid.png            input, masked input, corrected, and the renderer's own picture of the same face
  {out}/animated/           animations, from where the eyes looked to the camera and back
  {out}/saved_model/        the model, for gaze-tf correct and gaze-tf animate
  tensorboard --logdir={out}   how the training went"""


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    out = pathlib.Path(flags.FLAGS.output_dir)
    out.mkdir(parents=True, exist_ok=True)
    sys.exit(run(out))


if __name__ == '__main__':
    flags.DEFINE_string('output_dir', 'runs/training-demo', 'Folder for everything that the demo makes.')
    app.run(main)
