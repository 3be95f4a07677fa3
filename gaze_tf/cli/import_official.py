"""gaze-tf import-official --checkpoint=PREFIX_OR_DIR --crop_w=50 --crop_h=30 --output_dir=runs/official

Converts a checkpoint of the original TensorFlow 1 code. Widths, depths, code and image size follow from its variables;
the size of the eye boxes is not in it and must be given. The output folder gets:

  saved_model/1   for `gaze-tf correct` and `animate`, if the checkpoint holds a whole model
  gaze/           a checkpoint for `gaze-tf export`; `gaze-tf train` goes on from it with it as --output_dir
  pam/            a content encoder, for --pam_checkpoint of `gaze-tf train`
  variables.txt   what became of each variable
"""

import collections
import dataclasses
import pathlib
from typing import TYPE_CHECKING

from absl import flags

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.config import EncoderConfig
from gaze_tf.errors import GazeError
from gaze_tf.options import Options, option

if TYPE_CHECKING:
    from gaze_tf.checkpoint_reader import CheckpointReader

_Fates = dict[str, dict[str, str]]  # {prefix of a checkpoint: {variable: what becomes of it}}


@dataclasses.dataclass(frozen=True)
class ImportOptions(Options):
    """What to import."""

    checkpoint: str = option('', "The original's checkpoint: its prefix (model_200000.ckpt) or its folder.")
    pam: str = option(
        '',
        "Checkpoint of the original's PAM (prefix or folder): for its decoder, or for a `checkpoint` without content "
        'encoder.',
    )
    output_dir: str = option('', 'Folder for the results; it must not exist yet.')
    crop_w: int | None = option(
        None,
        'Width of the eye boxes that the weights were trained with, in pixels of the face images. Required.',
        low=2,
    )
    crop_h: int | None = option(None, 'Height of these eye boxes, in pixels. Required.', low=2)
    img_size: int = option(
        256,
        'Side of the face images, in pixels. Only for a content encoder alone; for a whole model it follows from the '
        'variables.',
        low=8,
    )


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(values, ImportOptions)


def run(values: flags.FlagValues) -> None:
    require(values, 'checkpoint', 'output_dir')
    options = option_flags.read(values, ImportOptions)
    if options.crop_w is None or options.crop_h is None:
        raise GazeError(
            '--crop_w and --crop_h are needed: the size of the eye boxes is not in the checkpoint, and weights that '
            'were trained with another size give bad eyes. The authors used --crop_w=50 --crop_h=30 (paper and README) '
            'and --crop_w=60 --crop_h=40 (later scripts), on images of 256 pixels.'
        )
    from gaze_tf.checkpoint_reader import CheckpointReader
    from gaze_tf.export import export
    from gaze_tf.files import new_folder
    from gaze_tf.original import configs, convert, names

    checkpoint = CheckpointReader(options.checkpoint)
    pam = CheckpointReader(options.pam) if options.pam else checkpoint
    whole, size_given = _is_whole(checkpoint, pam), values['img_size'].present
    img_size = configs.image_size(checkpoint) if whole else options.img_size
    if size_given and options.img_size != img_size:
        raise GazeError(
            f'--img_size={options.img_size}, but the model in --checkpoint is for images of {img_size} pixels: leave '
            'the flag out.'
        )
    config = encoder = configs.encoder_config(pam, img_size, options.crop_w, options.crop_h)
    with new_folder(options.output_dir) as folder:
        of_encoder, of_model = convert.write_encoder(folder / 'pam', encoder, pam), set()
        convert.check_same(checkpoint, pam, of_encoder)
        if whole:
            config = model_config = configs.model_config(checkpoint, encoder)
            of_model = convert.write_model(folder / 'gaze', model_config, checkpoint, pam)
        fates = _fates(checkpoint, pam, of_encoder, of_model)
        _write_fates(folder / 'variables.txt', fates)
        if whole:
            export.export(folder / 'gaze', folder / 'saved_model')
    _report(config, fates, options.output_dir)
    if not whole and not size_given:
        print(f'Note: the image size is not in a content encoder alone; --img_size={img_size} was assumed.')
    if whole and not checkpoint.has(*names.DISCRIMINATORS):
        print('Note: it has no discriminators, so `gaze-tf train` cannot go on from gaze/.')


def _is_whole(checkpoint: 'CheckpointReader', pam: 'CheckpointReader') -> bool:
    """Whether `checkpoint` holds a whole model, not only a content encoder. Raises GazeError if it holds neither."""
    from gaze_tf.original import names

    whole = checkpoint.has(*names.SERVING, *names.DISCRIMINATORS)
    if not whole and not checkpoint.has(names.CONTENT_ENCODER):
        raise checkpoint.error(f"holds none of the original's networks (scopes {', '.join(names.NETWORKS)})")
    if not whole and pam is not checkpoint:
        raise checkpoint.error('holds only a content encoder; --pam goes with a whole model in --checkpoint')
    if not pam.has(names.CONTENT_ENCODER):
        raise pam.error(
            'holds no content encoder (scope Gr)'
            + (': give the checkpoint of PAM as --pam' if pam is checkpoint else '')
        )
    return whole


def _fates(checkpoint: 'CheckpointReader', pam: 'CheckpointReader', of_encoder: set[str], of_model: set[str]) -> _Fates:
    """What becomes of every variable of one or two checkpoints."""
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


def _write_fates(path: pathlib.Path, fates: _Fates) -> None:
    with open(path, 'w', encoding='utf-8', errors='backslashreplace') as file:
        for prefix, by_name in fates.items():
            file.write(f'{prefix}\n')
            file.writelines(f'  {name}: {fate}\n' for name, fate in by_name.items())


def _report(config: EncoderConfig, fates: _Fates, output_dir: str) -> None:
    print('Configuration: ' + ' '.join(f'--{name}={value}' for name, value in dataclasses.asdict(config).items()))
    for prefix, by_name in fates.items():
        print(f'{prefix}: {len(by_name)} variables')
        for fate, count in collections.Counter(by_name.values()).items():
            print(f'  {count:5} {fate}')
    for path in sorted(pathlib.Path(output_dir).iterdir()):
        print(path)
