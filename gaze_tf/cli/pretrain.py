"""gaze-tf pretrain --data_dir=RECORDS --output_dir=runs/pam

Trains the content encoder by self-supervised mirror learning (PAM), which `gaze-tf train` needs. Started
again with the same --output_dir, it goes on where it was; SIGINT and SIGTERM save before they stop. A new
run starts from the networks of --warm_start, an earlier one, where that is given.
"""

from gaze_tf import config
from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require


def define_flags(values):
    option_flags.define(
        values, config.DataConfig, config.AugmentConfig, config.PamConfig, config.RunConfig, config.EncoderConfig
    )


def run(values):
    require(values, 'data_dir', 'output_dir')
    groups = {
        name: option_flags.read(values, config.GROUPS[name]) for name in ('encoder', 'pam', 'data', 'augment', 'run')
    }
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.training import checkpoints, pam_step, trainer

    source = groups['pam'].warm_start
    if source:
        start = checkpoints.latest(source, '--warm_start')
        encoder = checkpoints.read_config(source, 'encoder', '--warm_start')
        groups['encoder'] = option_flags.read_trained(
            values, config.EncoderConfig, encoder, 'the content encoder of --warm_start'
        )

    def make_stage(xla):
        stage = pam_step.PamStep(groups['encoder'], groups['pam'], xla, groups['run'].precision)
        if source and checkpoints.holds(start, 'autoencoder'):
            checkpoints.restore_networks(start, content_encoder=stage.content_encoder, autoencoder=stage.autoencoder)
        elif source:
            print(f'--warm_start: {start} has no decoder; that of PAM starts from its initial values.')
            checkpoints.restore_networks(start, content_encoder=stage.content_encoder)
        return stage

    number = trainer.train(make_stage, groups, show=('self', 'mirror'))
    return 128 + number if number else 0
