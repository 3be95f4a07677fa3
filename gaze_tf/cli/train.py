"""gaze-tf train --data_dir=RECORDS --pam_checkpoint=runs/pam --output_dir=runs/gaze --lam_p=0

Trains gaze correction (GCM) and gaze animation (GAM). The geometry and the widths of the content encoder
are those of --pam_checkpoint; flags that differ from it are refused. --warm_start in its place gives all
networks of an earlier run and all flags of its model. --lam_p above 0 (the paper: 100) needs --vgg_weights.
Run again with the same --output_dir to go on; SIGINT and SIGTERM save before they stop.
"""

from absl import flags

from gaze_tf import config
from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(
        values, config.DataConfig, config.AugmentConfig, config.GanConfig, config.RunConfig, config.ModelConfig
    )


def run(values: flags.FlagValues) -> int:
    require(values, 'data_dir', 'output_dir')
    gan, run_config = option_flags.read(values, config.GanConfig), option_flags.read(values, config.RunConfig)
    data, augment = option_flags.read(values, config.DataConfig), option_flags.read(values, config.AugmentConfig)
    if gan.pam_checkpoint and gan.warm_start:
        raise GazeError('--warm_start has its own content encoder: leave out --pam_checkpoint.')
    if not (gan.pam_checkpoint or gan.warm_start):
        raise GazeError(
            '--pam_checkpoint is needed: run `gaze-tf pretrain` first and give its --output_dir (or an '
            'earlier run of this command as --warm_start).'
        )
    if gan.freeze_gcm and not gan.warm_start:
        raise GazeError('--freeze_gcm needs a trained G_x: give an earlier run as --warm_start.')
    if gan.lam_p and not gan.vgg_weights:
        raise GazeError(
            f'--lam_p={gan.lam_p:g} needs the VGG-16 weights that --vgg_weights names (or --lam_p=0 '
            'to train without the perceptual loss).'
        )
    from gaze_tf.losses.perceptual import vgg16
    from gaze_tf.training import checkpoints, gan_step, trainer
    from gaze_tf.training.job import TrainingJob

    source = gan.warm_start or gan.pam_checkpoint
    start = checkpoints.latest(source)
    earlier = checkpoints.read_config(source, 'model' if gan.warm_start else 'encoder')
    whose = 'the model of --warm_start' if gan.warm_start else 'the content encoder of --pam_checkpoint'
    model_config = option_flags.read_trained(values, config.ModelConfig, earlier, whose)

    def make_stage(xla):
        stage = gan_step.GanStep(model_config, gan, xla, run_config.precision, vgg=lambda: vgg16(gan.vgg_weights))
        model = stage.model
        if not gan.warm_start:
            checkpoints.restore_networks(start, content_encoder=model.content_encoder)
            return stage
        checkpoints.restore_serving(start, model)
        if checkpoints.holds(start, 'model/d_x'):
            checkpoints.restore_networks(start, model=checkpoints.discriminators(model))
        else:
            print(f'--warm_start: {start} has no discriminators, so D_x and D_y start from their initial values.')
        return stage

    number = trainer.train(
        make_stage,
        TrainingJob(model_config, gan, data, augment, run_config),
        show=('d_x/rec', 'g_x/adversarial', 'g_x/reconstruction', 'g_y/reconstruction', 'g_y/reconstruction_hat'),
    )
    return 128 + number if number else 0
