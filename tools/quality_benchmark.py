"""python tools/quality_benchmark.py --output_dir=runs/benchmark

How good the method is and what each part of it buys, on rendered faces whose gaze is known (docs/benchmark.md). Renders
the faces, packs them, pretrains PAM, and of each variant trains GCM and GAM with flags/benchmark_cpu*.flags, exports the
SavedModel and measures it with `gaze-tf evaluate`. Every stage is the command that anybody would type. Writes

    <output_dir>/VARIANT/report/    the report: index.html, report.json, per_image.csv
    <output_dir>/VARIANT/log.txt    what the variant's commands printed; seconds.json: processor seconds of each
    <output_dir>/table.md           a row for each variant; faces.png: what each makes of the same faces

Started again, it goes on where it was. --jobs=2 trains two variants at a time on a core each, which takes less time
for all of them together.
"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from absl import app, flags

# before TensorFlow is imported, here and in every stage: its start-up chatter buries what they say
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

ROOT = pathlib.Path(__file__).resolve().parents[1]
# of what is compared: one training instead of two, with a weight between theirs
SHORT = ['--steps=1500', '--decay_start=750', '--lam_r=90']
# name: (what it is, flags of gaze-tf train); --loss_type=gan is softplus by another name
VARIANTS = {
    'method': ('everything', []),
    'short': ('everything, trained as shortly as those below', SHORT),
    'no_palette': ("without palettes: the paper's method", [*SHORT, '--palette=0']),
    'no_pam': ("without PAM's codes", [*SHORT, '--nouse_pam']),
    'no_sat': ('without Synthesis-As-Training', [*SHORT, '--nouse_sat']),
    'no_sp': ('without spectral normalisation', [*SHORT, '--nouse_sp']),
    'hinge': ('hinge instead of softplus', [*SHORT, '--loss_type=hinge']),
    'lsgan': ('lsgan instead of softplus', [*SHORT, '--loss_type=lsgan']),
    'wgan': ('wgan instead of softplus', [*SHORT, '--loss_type=wgan']),
}
HEADER = ('', 'degrees to the camera', 'smaller', 'rank correlation', 'animation errs by', 'iris ΔE to the input',
          'iris ΔE to the twin', 'PSNR of X', 'L1 to the twin', 'trained for')


def preparation(out, preset, faces):
    """(what, command line) of each stage that all variants share; `preset` is the beginning of the flag files' paths."""
    return [('Rendering faces', [sys.executable, f'{ROOT}/tools/synthetic_faces.py', f'--output_dir={out}/faces', *faces]),
            ('Packing them into TFRecords', [*_gaze_tf('prepare'), f'--data_dir={out}/faces', f'--output_dir={out}/records',
                                             *(flag for flag in faces if not flag.startswith(('--num', '--seed')))]),
            ('Pretraining the content encoder (PAM)',
             [*_gaze_tf('pretrain'), f'--flagfile={preset}.flags', f'--flagfile={preset}_pretrain.flags',
              f'--data_dir={out}/records', f'--output_dir={out}/pam'])]


def stages(out, name, preset, faces):
    """{stage: command line} of a variant; only the method is trained a second time."""
    own, held_out = out / name, [flag for flag in faces if flag.startswith('--test')]
    train = [*_gaze_tf('train'), f'--flagfile={preset}.flags', f'--flagfile={preset}_train.flags']
    plan = {'train': [*train, *VARIANTS[name][1], f'--data_dir={out}/records', f'--pam_checkpoint={out}/pam',
                      f'--output_dir={own}/gaze']}
    trained = own / 'gaze'
    if name == 'method':
        plan['finetune'] = [*train, f'--flagfile={preset}_finetune.flags', f'--data_dir={out}/records',
                            f'--warm_start={trained}', f'--output_dir={own}/finetuned']
        trained = own / 'finetuned'
    return {**plan,
            'export': [*_gaze_tf('export'), f'--checkpoint={trained}', f'--output_dir={own}/saved_model'],
            'evaluate': [*_gaze_tf('evaluate'), f'--model={own}/saved_model', f'--data={out}/faces', *held_out,
                         f'--gaze_estimator={ROOT}/tests/data/gaze_estimator.npz', f'--output={own}/report']}


def _gaze_tf(command):
    return [sys.executable, '-m', 'gaze_tf.cli.main', command]


def same_flags(out, preset):
    """Whether the folder is new or was begun with these flag files and variants: else models would be trained half so."""
    files = [pathlib.Path(f'{preset}{part}.flags').read_text() for part in ('', '_pretrain', '_train', '_finetune')]
    note, flags_now = out / 'flags.json', json.dumps([*files, VARIANTS], indent=1) + '\n'
    if not note.exists():
        note.write_text(flags_now)
    return note.read_text() == flags_now


def run_variant(out, name, plan, environment):
    """Runs the stages of a variant, unless it has a report; returns what went wrong, in a sentence, or None."""
    own = out / name
    if (own / 'report').exists():
        return None
    own.mkdir(exist_ok=True)
    # one version, of the newest checkpoint
    shutil.rmtree(own / 'saved_model', ignore_errors=True)
    file = own / 'seconds.json'
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
        file.write_text(json.dumps(seconds) + '\n')
        if process.returncode:
            return f'{name} stopped in its stage {stage}: {own}/log.txt says why.'
    return None


def table(out):
    """The rows of HEADER as text, of the untouched faces and of all variants that have a report."""
    rows = []
    for name, (what, _) in VARIANTS.items():
        path = out / name / 'report' / 'report.json'
        if not path.exists():
            continue
        results = json.loads(path.read_text())['results']
        gaze, animation, identity, twin = (results[block] for block in ('gaze', 'animation', 'identity', 'twin'))
        if not rows:
            rows.append(['untouched', f'{gaze["before"]["mean"]:.2f}', '', '', '', '0', f'{identity["iris_de_floor"]["mean"]:.2f}',
                         '', f'{twin["l1_twin_untouched"]["mean"]:.2f}', ''])
        used = json.loads((out / name / 'seconds.json').read_text())
        seconds = used['train'] + used.get('finetune', 0)
        rows.append([what, f'{gaze["after"]["mean"]:.2f}', f'{gaze["smaller"]:.1%}',
                     f'{animation["rank_correlation"]["mean"]:.3f}', f'{animation["error_within_0_1"]["mean"]:.2f}°',
                     f'{identity["iris_de"]["mean"]:.2f}', f'{identity["iris_de_twin"]["mean"]:.2f}',
                     f'{results["reconstruction"]["x"]["psnr_boxes"]["mean"]:.2f} dB', f'{twin["l1_twin"]["mean"]:.2f}',
                     f'{seconds / 60:.1f} min'])
    return rows


def markdown(rows):
    """The table as Markdown."""
    return ''.join(f'| {" | ".join(row)} |\n' for row in [HEADER, ['---'] * len(HEADER), *rows])


def run(out, names, jobs, preset, faces):
    """The whole benchmark; returns the exit status."""
    environment = dict(os.environ)
    if jobs > 1:
        environment.update(TF_NUM_INTRAOP_THREADS='1', TF_NUM_INTEROP_THREADS='1')
    for what, command in preparation(out, preset, faces):
        print(f'\n{what}', flush=True)
        status = subprocess.run(command).returncode
        if status:
            print(f'The benchmark stopped ({what}): its message is above.', file=sys.stderr)
            return status
    print(f'\nTraining and measuring: {", ".join(names)}', flush=True)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        failures = list(filter(None, pool.map(
            lambda name: run_variant(out, name, stages(out, name, preset, faces), environment), names)))
    text = markdown(table(out))
    (out / 'table.md').write_text(text)
    import quality_pictures     # it takes the seconds that TensorFlow takes to import
    quality_pictures.draw(out, {name: what for name, (what, _) in VARIANTS.items()})
    print(f'\n{text}\n{out}/faces.png shows what each makes of the same faces, {out}/VARIANT/report/index.html more of one.')
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    unknown = [name for name in flags.FLAGS.variants if name not in VARIANTS]
    if unknown:
        sys.exit(f'--variants: there is no variant {unknown[0]!r}; there are {", ".join(VARIANTS)}.')
    out, preset = pathlib.Path(flags.FLAGS.output_dir), f'{ROOT}/flags/benchmark_cpu'
    try:
        out.mkdir(parents=True, exist_ok=True)
        same = same_flags(out, preset)
    except OSError as error:
        sys.exit(f'--output_dir: {out} cannot be used: {error.strerror}.')
    if not same:
        sys.exit(f'{out} was begun with other flags (flags.json in it): choose another --output_dir or delete it.')
    try:
        sys.exit(run(out, flags.FLAGS.variants, flags.FLAGS.jobs, preset,
                     ['--img_size=128', '--num_x=5000', '--num_y=1500', '--test_x=100', '--test_y=300']))
    except KeyboardInterrupt:
        # variants that had not begun were given up, those that had have saved
        sys.exit('Interrupted; started again with the same flags, it goes on where it was.')


if __name__ == '__main__':
    flags.DEFINE_string('output_dir', 'runs/benchmark', 'Folder for everything that the benchmark makes.')
    flags.DEFINE_list('variants', list(VARIANTS), 'Which variants to train and measure.')
    flags.DEFINE_integer('jobs', 1, 'Variants that are trained at a time; more than 1: with one thread each.', lower_bound=1)
    app.run(main)
