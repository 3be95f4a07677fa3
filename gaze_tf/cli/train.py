"""gaze-tf train --data_dir=RECORDS --pam_checkpoint=runs/pam --output_dir=runs/gaze --lam_p=0

Trains gaze correction (GCM) and gaze animation (GAM). The geometry and the widths of the content encoder
are those of --pam_checkpoint; their flags are only compared with it. --warm_start in its place gives all
networks, those of an earlier run, and all flags of the model. With --lam_p above 0 (the paper: 100) it needs
--vgg_weights. Started again with the same --output_dir, it goes on where it was; SIGINT and SIGTERM save
before they stop.
"""

from gaze_tf import config
from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError


def define_flags(values):
    option_flags.define(
        values, config.DataConfig, config.AugmentConfig, config.GanConfig, config.RunConfig, config.ModelConfig
    )


def run(values):
    require(values, 'data_dir', 'output_dir')
    groups = {name: option_flags.read(values, config.GROUPS[name]) for name in ('gan', 'data', 'augment', 'run')}
    gan = groups['gan']
    if gan.pam_checkpoint and gan.warm_start:
        raise GazeError('--warm_start brings its own content encoder: leave out --pam_checkpoint.')
    if not (gan.pam_checkpoint or gan.warm_start):
        raise GazeError(
            '--pam_checkpoint is needed: run `gaze-tf pretrain` first and give its --output_dir (or an '
            'earlier run of this command as --warm_start).'
        )
    if gan.lam_p and not gan.vgg_weights:
        raise GazeError(
            f'--lam_p={gan.lam_p:g} needs the VGG-16 weights that --vgg_weights names (or --lam_p=0 '
            'to train without the perceptual loss).'
        )
    from gaze_tf.training import checkpoints, gan_step, trainer

    if gan.warm_start:
        start = checkpoints.latest(gan.warm_start, '--warm_start')
        model = checkpoints.read_config(gan.warm_start, 'model', '--warm_start')
        groups['model'] = option_flags.read_trained(values, config.ModelConfig, model, 'the model of --warm_start')
    else:
        start = checkpoints.latest(gan.pam_checkpoint, '--pam_checkpoint')
        encoder = checkpoints.read_config(gan.pam_checkpoint, 'encoder', '--pam_checkpoint')
        groups['model'] = option_flags.read_trained(
            values, config.ModelConfig, encoder, 'the content encoder of --pam_checkpoint'
        )

    def make_stage(xla):
        stage = gan_step.GanStep(groups['model'], gan, xla, groups['run'].precision)
        model = stage.model
        if not gan.warm_start:
            checkpoints.restore_networks(start, content_encoder=model.content_encoder)
        elif checkpoints.holds(start, 'model/d_x'):
            checkpoints.restore_networks(start, model=model)
        else:
            print(f'--warm_start: {start} has no discriminators; D_x and D_y start from their initial values.')
            checkpoints.restore_networks(start, model=checkpoints.serving_networks(model))
        return stage

    number = trainer.train(
        make_stage,
        groups,
        show=('d_x/rec', 'g_x/adversarial', 'g_x/reconstruction', 'g_y/reconstruction', 'g_y/reconstruction_hat'),
    )
    return 128 + number if number else 0
