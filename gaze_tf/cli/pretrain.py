"""gaze-tf pretrain --data_dir=RECORDS --output_dir=runs/pam

Trains the content encoder by self-supervised mirror learning (PAM), which `gaze-tf train` needs. Started
again with the same --output_dir, it goes on where it was; SIGINT and SIGTERM save before they stop.
"""
from gaze_tf import config
from gaze_tf.cli.main import require


def define_flags(values):
    config.define_flags(values, config.DataConfig, config.PamConfig, config.RunConfig, config.EncoderConfig)


def run(values):
    require(values, 'data_dir', 'output_dir')
    groups = {name: config.from_flags(config.GROUPS[name], values) for name in ('encoder', 'pam', 'data', 'run')}
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.training import pam_step, trainer
    number = trainer.train(lambda xla: pam_step.PamStep(groups['encoder'], groups['pam'], xla), groups,
                           show=('self', 'mirror'))
    return 128 + number if number else 0
