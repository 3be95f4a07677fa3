"""gaze-tf import-official --checkpoint=PREFIX_OR_DIR --crop_w=50 --crop_h=30 --output_dir=runs/official

Turns a checkpoint of the original TensorFlow 1 code into ours. Widths, depths, code and image size follow from
its variables; the size of the eye boxes is not in it and must be given. The output folder gets:

  saved_model/1   for `gaze-tf correct` and `animate`, where the checkpoint holds a whole model
  gaze/           checkpoint for `gaze-tf export`, or as --output_dir of `gaze-tf train`, which goes on from it
  pam/            content encoder for --pam_checkpoint of `gaze-tf train`
  variables.txt   what became of every variable
"""

import collections
import dataclasses
import pathlib

from absl import flags

from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError


def define_flags(values):
    flags.DEFINE_string(
        'checkpoint', '', "The original's checkpoint: its prefix (model_200000.ckpt) or its folder.", flag_values=values
    )
    flags.DEFINE_string(
        'pam',
        '',
        "Checkpoint of the original's PAM (prefix or folder), for its decoder or for a "
        '--checkpoint without the content encoder.',
        flag_values=values,
    )
    flags.DEFINE_string('output_dir', '', 'Folder for the results; it must not exist yet.', flag_values=values)
    flags.DEFINE_integer(
        'crop_w',
        None,
        'Width of the eye boxes that the weights were trained with, in pixels of the face images. Required.',
        lower_bound=2,
        flag_values=values,
    )
    flags.DEFINE_integer('crop_h', None, 'Their height, likewise. Required.', lower_bound=2, flag_values=values)
    flags.DEFINE_integer(
        'img_size',
        256,
        'Side of the face images, in pixels. Only for a content encoder alone: a whole model tells it.',
        lower_bound=8,
        flag_values=values,
    )


def run(values):
    require(values, 'checkpoint', 'output_dir')
    if values.crop_w is None or values.crop_h is None:
        raise GazeError(
            '--crop_w and --crop_h are needed: the size of the eye boxes is not in the checkpoint, and '
            'weights trained with another one give bad eyes. The authors used --crop_w=50 --crop_h=30 '
            '(paper and README) and --crop_w=60 --crop_h=40 (later scripts), on images of 256 pixels.'
        )
    from gaze_tf.checkpoint_reader import CheckpointReader
    from gaze_tf.export import export
    from gaze_tf.files import new_folder
    from gaze_tf.original import configs, convert, names

    checkpoint = CheckpointReader(values.checkpoint)
    pam = CheckpointReader(values.pam) if values.pam else checkpoint
    whole = _is_whole(checkpoint, pam)
    img_size = configs.image_size(checkpoint) if whole else values.img_size
    if values['img_size'].present and values.img_size != img_size:
        raise GazeError(
            f'--img_size={values.img_size}, but the model in --checkpoint is for images of {img_size} '
            'pixels: leave the flag out.'
        )
    config = encoder = configs.encoder_config(pam, img_size, values.crop_w, values.crop_h)
    with new_folder(values.output_dir) as folder:
        of_encoder, of_model = convert.write_encoder(folder / 'pam', encoder, pam), set()
        convert.check_same(checkpoint, pam, of_encoder)
        if whole:
            config = configs.model_config(checkpoint, encoder)
            of_model = convert.write_model(folder / 'gaze', config, checkpoint, pam)
        fates = _fates(checkpoint, pam, of_encoder, of_model)
        _write_fates(folder / 'variables.txt', fates)
        if whole:
            export.export(folder / 'gaze', folder / 'saved_model')
    _report(config, fates, values.output_dir)
    if not whole and not values['img_size'].present:
        print(f'Note: a content encoder alone does not tell its image size; --img_size={img_size} was assumed.')
    if whole and not checkpoint.has(*names.DISCRIMINATORS):
        print('Note: there are no discriminators in it, so that `gaze-tf train` cannot go on from gaze/.')


def _is_whole(checkpoint, pam):
    """Whether --checkpoint holds a whole model, not a content encoder only; raises GazeError if neither."""
    from gaze_tf.original import names

    whole = checkpoint.has(*names.SERVING, *names.DISCRIMINATORS)
    if not whole and not checkpoint.has(names.CONTENT_ENCODER):
        raise checkpoint.error(f"holds none of the original's networks (scopes {', '.join(names.NETWORKS)})")
    if not whole and pam is not checkpoint:
        raise checkpoint.error('holds a content encoder only; --pam goes with a whole model in --checkpoint')
    if not pam.has(names.CONTENT_ENCODER):
        raise pam.error(
            'holds no content encoder (scope Gr)'
            + (': give the checkpoint of PAM as --pam' if pam is checkpoint else '')
        )
    return whole


def _fates(checkpoint, pam, of_encoder, of_model):
    """What becomes of every variable: {prefix: {name: fate}}, of --pam only if it is another checkpoint."""
    from gaze_tf.original import names

    if pam is checkpoint:
        return {checkpoint.prefix: names.explain_variables(checkpoint, dict.fromkeys(of_encoder | of_model, 'used'))}
    beside = dict.fromkeys(pam.shapes.keys() - of_encoder, 'of --pam only the content encoder is used')
    return {
        checkpoint.prefix: names.explain_variables(
            checkpoint,
            {**dict.fromkeys(of_encoder, 'the same in --pam, used there'), **dict.fromkeys(of_model, 'used')},
        ),
        pam.prefix: names.explain_variables(pam, {**beside, **dict.fromkeys(of_encoder, 'used')}),
    }


def _write_fates(path, fates):
    with open(path, 'w', encoding='utf-8', errors='backslashreplace') as file:
        for prefix, by_name in fates.items():
            file.write(f'{prefix}\n')
            file.writelines(f'  {name}: {fate}\n' for name, fate in by_name.items())


def _report(config, fates, output_dir):
    print('Configuration: ' + ' '.join(f'--{name}={value}' for name, value in dataclasses.asdict(config).items()))
    for prefix, by_name in fates.items():
        print(f'{prefix}: {len(by_name)} variables')
        for fate, count in collections.Counter(by_name.values()).items():
            print(f'  {count:5} {fate}')
    for path in sorted(pathlib.Path(output_dir).iterdir()):
        print(path)
