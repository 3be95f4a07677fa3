"""python -m tools.studies.quality_benchmark --output_dir=runs/benchmark

How good the method is and what each part of it contributes, on drawn faces whose gaze is known (docs/benchmark.md). It
draws the faces, packs them and pretrains PAM; for each variant it trains GCM and GAM with flags/benchmark_cpu*.flags,
exports the SavedModel and measures it with `gaze-tf evaluate`. All of it is done once for each of --seeds, on the same
faces. Every stage is a command that can be typed by hand. No person is in two of these three sets:

    training      faces/, all but the last rows
    validation    faces/, the last rows: for choosing recipes (--report_on=validation), never for results
    test          test_faces/: only for results (--report_on=test); drawn when they are first needed

Writes

    <output_dir>/VARIANT/seed-N/report-test/    the report: index.html, report.json, per_image.csv (or
                                                report-validation/)
    <output_dir>/VARIANT/seed-N/log.txt         what its commands printed; seconds.json: processor seconds of each
    <output_dir>/test/table.md, table.json      a row for each variant: mean and spread over the seeds (or validation/)
    <output_dir>/test/faces.png, animation.png  what each variant, with its first seed, makes of the same faces

Started again, it continues where it stopped. --jobs=2 trains two models at a time, each on one core, which takes less
time for all of them together.
"""

import concurrent.futures
import csv
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from absl import app, flags

from gaze_tf.files import write_text
from tools.studies import quality_table

# before TensorFlow is imported, here and in every stage: its start-up chatter buries what they say
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

ROOT = pathlib.Path(__file__).resolve().parents[2]
# of what is compared: one training instead of two, with a weight between theirs
SHORT = ['--steps=1500', '--decay_start=750', '--lam_r=90']
# name: (what it is, flags of gaze-tf train); --loss_type=gan is softplus by another name
VARIANTS = {
    'method': ('everything', []),
    'short': ('everything, trained as shortly as those below', SHORT),
    'no_palette': ('without palettes', [*SHORT, '--palette=0']),
    'no_pam': ("without PAM's codes", [*SHORT, '--nouse_pam']),
    'no_sat': ('without Synthesis-As-Training', [*SHORT, '--nouse_sat']),
    'no_sp': ('without spectral normalisation', [*SHORT, '--nouse_sp']),
    'hinge': ('hinge instead of softplus', [*SHORT, '--loss_type=hinge']),
    'lsgan': ('lsgan instead of softplus', [*SHORT, '--loss_type=lsgan']),
    'wgan': ('wgan instead of softplus', [*SHORT, '--loss_type=wgan']),
}
SETS = ('validation', 'test')
# training and validation faces; recipes were always chosen on the last rows of these, so they can never be test faces
FACES = ['--img_size=128', '--num_x=5000', '--num_y=1500', '--test_x=100', '--test_y=300', '--seed=0']
TEST_SEED = 1000


def preparation(out, preset, faces, seeds, report_on):
    """(what, command line) of each stage that all variants share; `preset` is the beginning of the flag files'
    paths."""
    render, held_out = _gaze_tf('draw-dataset'), _held_out(faces)
    size = [flag for flag in faces if flag.startswith('--img_size')]
    plan = [('Rendering faces to train and to choose on', [*render, f'--output_dir={out}/faces', *faces])]
    if report_on == 'test':
        plan.append(
            (
                'Rendering test faces',
                [
                    *render,
                    f'--output_dir={out}/test_faces',
                    *size,
                    '--num_x=0',
                    '--num_y=0',
                    *held_out,
                    f'--seed={TEST_SEED}',
                ],
            )
        )
    plan.append(
        (
            'Packing the faces to train on into TFRecords',
            [*_gaze_tf('prepare'), f'--data_dir={out}/faces', f'--output_dir={out}/records', *size, *held_out],
        )
    )
    return plan + [
        (
            f'Pretraining the content encoder (PAM), seed {seed}',
            [
                *_gaze_tf('pretrain'),
                f'--flagfile={preset}.flags',
                f'--flagfile={preset}_pretrain.flags',
                f'--data_dir={out}/records',
                f'--seed={seed}',
                f'--output_dir={out}/pam/seed-{seed}',
            ],
        )
        for seed in seeds
    ]


def stages(out, name, seed, preset, faces, report_on):
    """{stage: command line} of a variant with a seed; only the method is trained a second time."""
    own = out / name / f'seed-{seed}'
    train = [*_gaze_tf('train'), f'--flagfile={preset}.flags', f'--flagfile={preset}_train.flags']
    plan = {
        'train': [
            *train,
            *VARIANTS[name][1],
            f'--data_dir={out}/records',
            f'--pam_checkpoint={out}/pam/seed-{seed}',
            f'--seed={seed}',
            f'--output_dir={own}/gaze',
        ]
    }
    trained = own / 'gaze'
    if name == 'method':
        plan['finetune'] = [
            *train,
            f'--flagfile={preset}_finetune.flags',
            f'--data_dir={out}/records',
            f'--warm_start={trained}',
            f'--seed={seed}',
            f'--output_dir={own}/finetuned',
        ]
        trained = own / 'finetuned'
    data = {'validation': out / 'faces', 'test': out / 'test_faces'}[report_on]
    return {
        **plan,
        'export': [*_gaze_tf('export'), f'--checkpoint={trained}', f'--output_dir={own}/saved_model'],
        'evaluate': [
            *_gaze_tf('evaluate'),
            f'--model={own}/saved_model',
            f'--data={data}',
            *_held_out(faces),
            f'--output={own}/report-{report_on}',
        ],
    }


def _held_out(faces):
    return [flag for flag in faces if flag.startswith('--test')]


def _gaze_tf(command):
    return [sys.executable, '-m', 'gaze_tf.cli.main', command]


def same_flags(out, preset):
    """Whether the folder is new or was begun with these flag files and variants: else models would be trained
    half so."""
    files = [pathlib.Path(f'{preset}{part}.flags').read_text() for part in ('', '_pretrain', '_train', '_finetune')]
    note, flags_now = out / 'flags.json', json.dumps([*files, VARIANTS], indent=1) + '\n'
    if not note.exists():
        write_text(note, flags_now)
    return note.read_text() == flags_now


def shared_people(out):
    """In a sentence, which two sets share people, or None; a person is the seed of a folder and a number in its
    truth.csv."""
    people = {}
    for folder, sets in (('faces', {'train': 'training', 'test': 'validation'}), ('test_faces', {'test': 'test'})):
        if not (out / folder / 'truth.csv').exists():
            continue
        seed = json.loads((out / folder / 'options.json').read_text())['seed']
        with (out / folder / 'truth.csv').open(newline='') as file:
            for row in csv.DictReader(file):
                people.setdefault(sets[row['split']], set()).add((seed, row['identity']))
    for one, other in itertools.combinations(people, 2):
        if count := len(people[one] & people[other]):
            sets = f'in the {one} set and in the {other} set'
            return f'{count} people of {out} are {sets}: delete its faces and begin again.'
    return None


def run_one(own, plan, report_on, environment):
    """Runs the stages of a variant with a seed in its folder; returns what went wrong, in a sentence, or None.

    Where there is the report, nothing; where there is one on the other faces, the model is measured as it is.
    """
    if (own / f'report-{report_on}').exists():
        return None
    own.mkdir(parents=True, exist_ok=True)
    if any((own / f'report-{other}').exists() for other in SETS):
        plan = {'evaluate': plan['evaluate']}
    else:
        # one version, of the newest checkpoint
        shutil.rmtree(own / 'saved_model', ignore_errors=True)
    name, file = f'{own.parent.name}, {own.name}', own / 'seconds.json'
    seconds = json.loads(file.read_text()) if file.exists() else {}
    for stage, command in plan.items():
        print(f'{time.strftime("%H:%M")} {name}: {stage}', flush=True)
        with open(own / 'log.txt', 'a') as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            # waited for by hand: only this tells the processor time of this child alone
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        # a training that was interrupted counts, too
        seconds[stage] = round(seconds.get(stage, 0) + used.ru_utime + used.ru_stime, 1)
        write_text(file, json.dumps(seconds) + '\n')
        if process.returncode:
            return f'{name} stopped in its stage {stage}: {own}/log.txt says why.'
    return None


def write_results(out, report_on):
    """Writes table.md, table.json and the pictures of all reports that there are; returns the table."""
    names, results = {name: what for name, (what, _) in VARIANTS.items()}, out / report_on
    results.mkdir(exist_ok=True)
    summary = quality_table.summarize(out, names, report_on)
    write_text(results / 'table.json', json.dumps(summary, indent=1, ensure_ascii=False) + '\n')
    text = quality_table.markdown(summary)
    write_text(results / 'table.md', text)
    from tools.studies import quality_pictures  # here: TensorFlow takes seconds to import

    first = {
        names[name]: quality_table.runs(out, name, report_on)[0][1] / 'saved_model' for name in summary['variants']
    }
    quality_pictures.draw(results, out / ('test_faces' if report_on == 'test' else 'faces'), first)
    return text


def run(out, names, seeds, report_on, jobs, preset, faces):
    """The whole benchmark; returns the exit status."""
    environment = dict(os.environ)
    if jobs > 1:
        environment.update(TF_NUM_INTRAOP_THREADS='1', TF_NUM_INTEROP_THREADS='1')
    for what, command in preparation(out, preset, faces, seeds, report_on):
        print(f'\n{what}', flush=True)
        status = subprocess.run(command).returncode
        if status:
            print(f'The benchmark stopped ({what}): its message is above.', file=sys.stderr)
            return status
    problem = shared_people(out)
    if problem:
        print(problem, file=sys.stderr)
        return 1
    print(
        f'\nTraining, and measuring on the {report_on} faces, with seeds {", ".join(map(str, seeds))}: '
        f'{", ".join(names)}',
        flush=True,
    )
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        failures = list(
            filter(
                None,
                pool.map(
                    lambda one: run_one(
                        out / one[1] / f'seed-{one[0]}',
                        stages(out, one[1], one[0], preset, faces, report_on),
                        report_on,
                        environment,
                    ),
                    itertools.product(seeds, names),
                ),
            )
        )
    print(
        f'\n{write_results(out, report_on)}\n{out}/{report_on}/faces.png shows what each makes of the same faces, '
        f'{out}/VARIANT/seed-N/report-{report_on}/index.html more of one.'
    )
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def read_seeds(texts):
    """The numbers of --seeds; exits with a sentence where they are none."""
    if not texts or not all(text.isdecimal() for text in texts) or len(set(map(int, texts))) < len(texts):
        sys.exit(f'--seeds={",".join(texts)}: give different whole numbers from 0 on, such as 0,1,2.')
    return [int(text) for text in texts]


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    unknown = [name for name in flags.FLAGS.variants if name not in VARIANTS]
    if unknown:
        sys.exit(f'--variants: there is no variant {unknown[0]!r}; there are {", ".join(VARIANTS)}.')
    seeds = read_seeds(flags.FLAGS.seeds)
    out, preset = pathlib.Path(flags.FLAGS.output_dir), f'{ROOT}/flags/benchmark_cpu'
    try:
        out.mkdir(parents=True, exist_ok=True)
        same = same_flags(out, preset)
    except OSError as error:
        sys.exit(f'--output_dir: {out} cannot be used: {error.strerror}.')
    if not same:
        sys.exit(f'{out} was begun with other flags (flags.json in it): choose another --output_dir or delete it.')
    try:
        sys.exit(run(out, flags.FLAGS.variants, seeds, flags.FLAGS.report_on, flags.FLAGS.jobs, preset, FACES))
    except KeyboardInterrupt:
        # models that had not begun were given up, those that had have saved
        sys.exit('Interrupted; started again with the same flags, it goes on where it was.')


if __name__ == '__main__':
    flags.DEFINE_string('output_dir', 'runs/benchmark', 'Folder for everything that the benchmark makes.')
    flags.DEFINE_list('variants', list(VARIANTS), 'Which variants to train and measure.')
    flags.DEFINE_list(
        'seeds', ['0', '1', '2'], 'Seeds of the trainings: each variant is trained and measured once with each.'
    )
    flags.DEFINE_enum(
        'report_on', 'test', SETS, 'Faces to measure on: validation to choose a recipe, test to report it.'
    )
    flags.DEFINE_integer(
        'jobs', 1, 'Models that are trained at a time; more than 1: with one thread each.', lower_bound=1
    )
    app.run(main)
