"""gaze-tf train --data_dir=RECORDS --pam_checkpoint=runs/pam --output_dir=runs/gaze --lam_p=0

Trains gaze correction (GCM) and gaze animation (GAM). The geometry and the widths of the content encoder
are those of --pam_checkpoint; their flags are only compared with it. With --lam_p above 0 (the paper: 100)
it needs --vgg_weights. Started again with the same --output_dir, it goes on where it was; SIGINT and
SIGTERM save before they stop.
"""
import dataclasses

from gaze_tf import config
from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError


def define_flags(values):
    config.define_flags(values, config.DataConfig, config.GanConfig, config.RunConfig, config.ModelConfig)


def run(values):
    require(values, 'data_dir', 'output_dir')
    groups = {name: config.from_flags(config.GROUPS[name], values) for name in ('gan', 'data', 'run')}
    gan = groups['gan']
    if not gan.pam_checkpoint:
        raise GazeError('--pam_checkpoint is needed: run `gaze-tf pretrain` first and give its --output_dir.')
    if gan.lam_p and not gan.vgg_weights:
        raise GazeError(f'--lam_p={gan.lam_p:g} needs the VGG-16 weights that --vgg_weights names (or --lam_p=0 '
                        'to train without the perceptual loss).')
    from gaze_tf.training import checkpoints, gan_step, trainer
    pam = checkpoints.latest(gan.pam_checkpoint, '--pam_checkpoint')
    encoder = checkpoints.read_config(gan.pam_checkpoint, 'encoder', '--pam_checkpoint')
    groups['model'] = _with_encoder(values, encoder)

    def make_stage(xla):
        stage = gan_step.GanStep(groups['model'], gan, xla)
        checkpoints.restore_networks(pam, content_encoder=stage.model.content_encoder)
        return stage

    number = trainer.train(make_stage, groups, show=('d_x/rec', 'g_x/adversarial', 'g_x/reconstruction',
                                                     'g_y/reconstruction', 'g_y/reconstruction_hat'))
    return 128 + number if number else 0


def _with_encoder(values, encoder):
    """The ModelConfig of the flags, the encoder's part from PAM; raises GazeError where flags differ."""
    for name, trained in dataclasses.asdict(encoder).items():
        if values[name].present and values[name].value != trained:
            raise GazeError(f'--{name}={values[name].value}, but the content encoder of --pam_checkpoint was '
                            f'trained with {trained}: leave the flag out, or pretrain again.')
        values[name].value = trained
    return config.from_flags(config.ModelConfig, values)
