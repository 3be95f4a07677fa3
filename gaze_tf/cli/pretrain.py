"""gaze-tf pretrain --data_dir=RECORDS --output_dir=runs/pam

Trains the content encoder, which `gaze-tf train` needs, by self-supervised mirror learning (PAM). Run again
with the same --output_dir to go on; SIGINT and SIGTERM save before they stop. With --warm_start a new run
starts from the networks of an earlier one.
"""

from absl import flags

from gaze_tf import config
from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(
        values, config.DataConfig, config.AugmentConfig, config.PamConfig, config.RunConfig, config.EncoderConfig
    )


def run(values: flags.FlagValues) -> int:
    require(values, 'data_dir', 'output_dir')
    pam, run_config = option_flags.read(values, config.PamConfig), option_flags.read(values, config.RunConfig)
    data, augment = option_flags.read(values, config.DataConfig), option_flags.read(values, config.AugmentConfig)
    encoder = option_flags.read(values, config.EncoderConfig)
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.training import checkpoints, pam_step, trainer
    from gaze_tf.training.job import TrainingJob

    source = pam.warm_start
    if source:
        start = checkpoints.latest(source)
        earlier = checkpoints.read_config(source, 'encoder')
        encoder = option_flags.read_trained(
            values, config.EncoderConfig, earlier, 'the content encoder of --warm_start'
        )

    def make_stage(xla):
        stage = pam_step.PamStep(encoder, pam, xla, run_config.precision)
        if source and checkpoints.holds(start, 'autoencoder'):
            checkpoints.restore_networks(start, content_encoder=stage.content_encoder, autoencoder=stage.autoencoder)
        elif source:
            print(f"--warm_start: {start} has no decoder, so PAM's decoder starts from its initial values.")
            checkpoints.restore_networks(start, content_encoder=stage.content_encoder)
        return stage

    job = TrainingJob(encoder, pam, data, augment, run_config)
    number = trainer.train(make_stage, job, show=('self', 'mirror'))
    return 128 + number if number else 0
