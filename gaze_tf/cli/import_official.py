"""gaze-tf import-official --checkpoint=PREFIX_OR_DIR --crop_w=50 --crop_h=30 --output_dir=runs/official

Turns a checkpoint of the original TensorFlow 1 code into ours. Widths, depths, code and image size follow from
its variables; the size of the eye boxes is not in it and must be given. The output folder gets:

  saved_model/    for `gaze-tf correct` and `animate`, where the checkpoint holds a whole model
  gaze/           checkpoint for `gaze-tf export`, or as --output_dir of `gaze-tf train`, which goes on from it
  pam/            content encoder for --pam_checkpoint of `gaze-tf train`
  variables.txt   what became of every variable
"""
import collections
import dataclasses

from absl import flags

from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError


def define_flags(values):
    flags.DEFINE_string('checkpoint', '', "The original's checkpoint: its prefix (model_200000.ckpt) or its folder.",
                        flag_values=values)
    flags.DEFINE_string('pam', '', "Checkpoint of the original's PAM (prefix or folder), for its decoder or for a "
                        '--checkpoint without the content encoder.', flag_values=values)
    flags.DEFINE_string('output_dir', '', 'Folder for the results; it must not exist yet.', flag_values=values)
    flags.DEFINE_integer('crop_w', None, 'Width of the eye boxes that the weights were trained with, in pixels of '
                         'the face images. Required.', lower_bound=2, flag_values=values)
    flags.DEFINE_integer('crop_h', None, 'Their height, likewise. Required.', lower_bound=2, flag_values=values)
    flags.DEFINE_integer('img_size', 256, 'Side of the face images, in pixels. Only for a content encoder alone: a '
                         'whole model tells it.', lower_bound=8, flag_values=values)


def run(values):
    require(values, 'checkpoint', 'output_dir')
    if values.crop_w is None or values.crop_h is None:
        raise GazeError('--crop_w and --crop_h are needed: the size of the eye boxes is not in the checkpoint, and '
                        'weights trained with another one give bad eyes. The authors used --crop_w=50 --crop_h=30 '
                        '(paper and README) and --crop_w=60 --crop_h=40 (later scripts), on images of 256 pixels.')
    from gaze_tf import official
    from gaze_tf.folders import new_folder
    from gaze_tf.serving import export
    from gaze_tf.training import imported
    checkpoint = official.Checkpoint(values.checkpoint, '--checkpoint')
    pam = official.Checkpoint(values.pam, '--pam') if values.pam else checkpoint
    if not checkpoint.has(official.CONTENT_ENCODER, *official.SERVING, *official.DISCRIMINATORS):
        raise GazeError(f"--checkpoint: {checkpoint.prefix} holds none of the original's networks (scopes Gr, encode, "
                        'Gx, Gy, Dx, Dy).')
    whole = checkpoint.has(*official.SERVING, *official.DISCRIMINATORS)
    img_size = official.image_size(checkpoint) if whole else values.img_size
    config = encoder = official.encoder_config(pam, img_size, values.crop_w, values.crop_h)
    with new_folder(values.output_dir) as folder:
        used = imported.write_encoder(folder / 'pam', encoder, pam)
        official.check_same(checkpoint, pam, used)
        if whole:
            config = official.model_config(checkpoint, encoder)
            used |= imported.write_model(folder / 'gaze', config, checkpoint, pam)
        fates = {source.prefix: official.account(source, used) for source in (checkpoint, pam)}
        _write_fates(folder / 'variables.txt', fates)
        if whole:
            export.export(folder / 'gaze', folder / 'saved_model')
    _report(config, fates, whole, values.output_dir)


def _write_fates(path, fates):
    with open(path, 'w', encoding='utf-8') as file:
        for prefix, by_name in fates.items():
            file.write(f'{prefix}\n')
            file.writelines(f'  {name}: {fate}\n' for name, fate in by_name.items())


def _report(config, fates, whole, output_dir):
    print('Configuration: ' + ' '.join(f'--{name}={value}' for name, value in dataclasses.asdict(config).items()))
    for prefix, by_name in fates.items():
        print(f'{prefix}: {len(by_name)} variables')
        for fate, count in collections.Counter(by_name.values()).items():
            print(f'  {count:5} {fate}')
    print(f'Every variable: {output_dir}/variables.txt')
    print(f'Content encoder: {output_dir}/pam')
    if whole:
        print(f'Checkpoint: {output_dir}/gaze\nSavedModel: {output_dir}/saved_model')
