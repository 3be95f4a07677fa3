"""The configuration: frozen dataclasses, one per concern; from flags, to and from JSON, validated.

An option is declared once, as a field: name, type, default, meaning with unit, bounds. The command
line flags are made from the fields, so `gaze-tf COMMAND --help` and the JSON written beside every
checkpoint cannot disagree with the code. The defaults are the paper's values.
"""

import dataclasses
import json
import math
import pathlib

from absl import flags

from gaze_tf.errors import GazeError
from gaze_tf.files import write_text

CONFIG_NAME = 'config.json'
# mean eye positions of CelebAGaze's 25,183 training rows (78.6, 92.9, 177.8, 92.7) as shares of its 256 pixels
FRAME_EYES = '0.30703125,0.362890625,0.69453125,0.362109375'


def option(default, help, low=None, high=None, below=None, choices=None, refines=False):
    """A dataclass field that becomes a flag, from `low` to `high`, both included; `below` is what it must stay below; refines:
    whether trained weights may go on with another value."""
    return dataclasses.field(
        default=default,
        metadata={'help': help, 'low': low, 'high': high, 'below': below, 'choices': choices, 'refines': refines},
    )


def check_finite(name, *numbers):
    """Raises GazeError for NaN and infinity, which float() and absl's bounds let through, among a flag's numbers."""
    if not all(map(math.isfinite, numbers)):
        raise GazeError(f'--{name}={",".join(f"{number:g}" for number in numbers)} must be finite.')


def eye_shares(text):
    """A value of --frame_eyes as the four floats (left_x, left_y, right_x, right_y); raises GazeError."""
    try:
        shares = tuple(float(number) for number in text.split(','))
    except ValueError:
        shares = ()
    # (NaN lies nowhere)
    if len(shares) != 4 or not all(0 < share < 1 for share in shares) or shares[0] >= shares[2]:
        raise GazeError(
            f'--frame_eyes={text} must be left_x,left_y,right_x,right_y: four numbers above 0 and below 1, the '
            f'eye with the smaller x first, such as {FRAME_EYES}.'
        )
    return shares


class _Validated:
    """Checks every field against its declaration as soon as the object is made."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is float and type(value) is int:
                object.__setattr__(self, field.name, float(value))
            elif type(value) is not field.type:
                raise GazeError(f'--{field.name} must be of type {field.type.__name__}, not {value!r}.')
            low, high, below, choices = (field.metadata[key] for key in ('low', 'high', 'below', 'choices'))
            if field.type is float:
                check_finite(field.name, value)
            if low is not None and value < low:
                raise GazeError(f'--{field.name} must be at least {low}, not {value}.')
            if high is not None and value > high:
                raise GazeError(f'--{field.name} must be at most {high}, not {value}.')
            if below is not None and value >= below:
                raise GazeError(f'--{field.name} must be below {below}, not {value}.')
            if choices and value not in choices:
                raise GazeError(f'--{field.name} must be one of {", ".join(choices)}, not {value!r}.')


@dataclasses.dataclass(frozen=True)
class EncoderConfig(_Validated):
    """Geometry and the content encoder E_c: what PAM trains with. Travels with the weights."""

    img_size: int = option(256, 'Side of the square face images, in pixels.', low=8, high=4096)
    crop_w: int = option(50, 'Width of an eye box, in pixels of the img_size image.', low=2)
    crop_h: int = option(30, 'Height of an eye box, in pixels of the img_size image.', low=2)
    crop_px: int = option(
        64,
        'Side to which eye boxes are resampled for the networks, in pixels (the paper: img_size / 4).',
        low=8,
        high=1024,
    )
    frame_eyes: str = option(
        FRAME_EYES,
        'Where the eyes stand in the frame: left_x,left_y,right_x,right_y as shares of its '
        "side (the paper: CelebAGaze's means).",
    )
    code_size: int = option(256, 'Numbers in the content code of one eye.', low=1, high=8192)
    ngf: int = option(16, 'Channels of the first layer of E_c, G_x and G_y.', low=1, high=1024)
    n_layers_r: int = option(3, 'Stride-2 convolutions in the content encoder E_c.', low=1, high=10)

    def __post_init__(self):
        super().__post_init__()
        self._check_multiple('crop_px', 'n_layers_r')
        eye_shares(self.frame_eyes)
        if max(self.crop_w, self.crop_h) > self.img_size:
            raise GazeError(
                f'An eye box of {self.crop_w}x{self.crop_h} pixels (--crop_w, --crop_h) does not '
                f'fit an image of {self.img_size} (--img_size).'
            )

    @property
    def eye_shares(self):
        """`frame_eyes` as four floats."""
        return eye_shares(self.frame_eyes)

    def _check_multiple(self, size, layers):
        value, factor = getattr(self, size), 2 ** getattr(self, layers)
        if value % factor:
            raise GazeError(f'--{size}={value} must be a multiple of {factor} (2 to the power of --{layers}).')


@dataclasses.dataclass(frozen=True)
class ModelConfig(EncoderConfig):
    """Everything that shapes what the dual in-painting model computes. Travels with the weights."""

    ndf: int = option(16, 'Base width of the discriminators, in channels.', low=1, high=1024)
    nef: int = option(32, 'Channels of the first layer of the angle encoder E_r.', low=1, high=1024)
    n_layers_g: int = option(5, 'Stride-2 convolutions in G_x and G_y.', low=1, high=10)
    n_layers_d: int = option(5, 'Stride-2 convolutions in each branch of a discriminator.', low=1, high=10)
    n_layers_e: int = option(3, 'Stride-2 convolutions in the angle encoder E_r.', low=1, high=10)
    use_sp: bool = option(True, 'Spectral normalisation on every layer of the discriminators.')
    use_pam: bool = option(True, "PAM's content codes for G_x and G_y; without, they get zeros (for ablations).")
    palette: int = option(
        0,
        'Colours that are picked from each eye, wherever its iris is, for G_x and G_y to paint with '
        '(0, the paper: none). Keeps the colour of irises; 8 is enough.',
        low=0,
        high=256,
    )
    match_detail: bool = option(
        False, "Painted eyes get as much fine detail as the photo's own have (the paper: no).", refines=True
    )

    def __post_init__(self):
        super().__post_init__()
        self._check_multiple('img_size', 'n_layers_g')

    @property
    def content_size(self):
        """Numbers in the content codes of both eyes of a face."""
        return 2 * self.code_size

    @property
    def palette_size(self):
        """Numbers in the palettes of both eyes of a face."""
        return 6 * self.palette


@dataclasses.dataclass(frozen=True)
class DataConfig(_Validated):
    """Where the training images come from."""

    data_dir: str = option('', 'Folder of TFRecords written by `gaze-tf prepare`.')
    flip: bool = option(True, 'Mirror a whole batch with probability 1/2, eye positions included.')
    skip_corrupt: bool = option(False, 'Leave out records that cannot be read, instead of stopping.')


@dataclasses.dataclass(frozen=True)
class AugmentConfig(_Validated):
    """How training faces are altered at random, so that few good photos teach about many poor ones; the paper does not."""

    aug_color: float = option(
        0.0, 'Tint: standard deviation of the log2 gains of the red and of the blue levels.', low=0, high=1
    )
    aug_saturation: float = option(
        0.0, 'Saturation: colours are up to 2 to this power stronger or weaker.', low=0, high=3
    )
    aug_exposure: float = option(
        0.0,
        'Exposure, by up to so many stops more or less, and gamma, by up to 2 to the power of half of it.',
        low=0,
        high=3,
    )
    aug_gray: float = option(0.0, 'Probability that a face is grey.', low=0, high=1)
    aug_low_light: float = option(
        0.0, 'Probability that levels fall to between 1/5 and 1/2, with noise.', low=0, high=1
    )
    aug_blur: float = option(0.0, 'Probability of a Gaussian blur, sigma 0.3 to 3 pixels.', low=0, high=1)
    aug_scale_down: float = option(
        0.0, 'Probability that a face is made 1.2 to 4 times smaller and enlarged again.', low=0, high=1
    )
    aug_jpeg: float = option(0.0, 'Probability of JPEG compression, quality 30 to 95.', low=0, high=1)
    aug_noise: float = option(0.0, 'Probability of Gaussian noise, sigma up to 8 of 255 levels.', low=0, high=1)
    aug_shift: float = option(
        0.0,
        'Error of eye positions, which a detector makes: standard deviation of x and of y of each '
        'eye, in pixels. The face moves, the positions stay.',
        low=0,
    )


_STOP_METRIC = 'Term on held-out faces that decides with --stop_patience; smaller is better.'


@dataclasses.dataclass(frozen=True)
class _Training(_Validated):
    """What both trainings can do beyond the paper, which does without."""

    clip_norm: float = option(0.0, 'Global norm to which the gradients of each update are clipped (0: not).', low=0)
    warm_start: str = option(
        '',
        'Folder of an earlier run of this command, or an imported one: a new run starts from '
        'its weights, with its model, at step 0.',
    )
    stop_patience: int = option(
        0,
        'The run ends once --stop_metric has not improved for so many checkpoints in a row '
        '(0: never). The best is still there with a larger --keep.',
        low=0,
    )


@dataclasses.dataclass(frozen=True)
class PamConfig(_Training):
    """Pretraining of the content encoder (PAM)."""

    steps: int = option(100_000, 'Training steps (the paper does not say how many).', low=1)
    batch_size: int = option(16, 'Faces of each domain in one step, on all devices together.', low=1)
    lr_r: float = option(5e-4, 'Learning rate of Adam.', low=0)
    beta1: float = option(0.5, "Adam's decay of the first moment.", low=0, below=1)
    beta2: float = option(0.999, "Adam's decay of the second moment.", low=0, below=1)
    stop_metric: str = option('loss', _STOP_METRIC)
    twins = False  # whether faces of Y are read with their twins


@dataclasses.dataclass(frozen=True)
class GanConfig(_Training):
    """Training of GCM and GAM: optimisation and loss weights."""

    steps: int = option(200_000, 'Training steps.', low=1)
    batch_size: int = option(16, 'Faces of each domain in one step, on all devices together.', low=1)
    lr_d: float = option(
        1e-4, 'Learning rate of Adam for D_x and D_y; one of its own, as TTUR (Heusel et al. 2017) asks for.', low=0
    )
    lr_g: float = option(1e-4, 'Learning rate of Adam for G_x, and for G_y with E_r.', low=0)
    beta1: float = option(0.5, "Adam's decay of the first moment.", low=0, below=1)
    beta2: float = option(0.999, "Adam's decay of the second moment.", low=0, below=1)
    decay_start: int = option(
        20_000, 'Step up to which the learning rate is constant; then it falls linearly to 0 at --steps.', low=0
    )
    decay_every: int = option(2_000, 'Steps between two changes of the learning rate.', low=1)
    loss_type: str = option(
        'softplus',
        'Adversarial loss; lsgan_original is the faulty lsgan of the original code, for comparisons.',
        choices=('softplus', 'hinge', 'lsgan', 'lsgan_original', 'wgan', 'gan'),
    )
    use_sat: bool = option(
        True, 'Synthesis-As-Training: G_y, and D_x, learn from faces that G_y moves to the camera (off: for ablations).'
    )
    lam_r: float = option(1.0, 'Weight of the reconstruction terms (localL1).', low=0)
    lam_hue: float = option(
        0.0, 'Weight of colours without their brightness in every localL1, which is mostly about brightness.', low=0
    )
    lam_palette: float = option(
        1.0, 'Weight of the terms that keep the palettes of what G_y paints, with --palette.', low=0
    )
    lam_twin: float = option(
        0.0,
        'Weight of the reconstruction of twins. Above 0, G_x also learns from Y, of which the records '
        'then hold each face looking at the camera as well (`gaze-tf prepare --twins`), and D_x '
        'judges what it makes of Y. 0: the paper.',
        low=0,
    )
    twin_focus: float = option(
        0.0,
        'How much more pixels weigh in the reconstruction of twins where face and twin differ, '
        'which is in irises: the weight is 1 and this times the difference.',
        low=0,
    )
    lam_code: float = option(
        0.0,
        "Weight of the difference between a face's content code and its twin's: one code for an eye, "
        'wherever it looks. Above 0 it needs --lam_twin and --tune_content.',
        low=0,
    )
    tune_content: bool = option(False, "E_c goes on learning, in G_x's update (the paper: PAM's stays as it is).")
    lam_p: float = option(100.0, 'Weight of the perceptual terms; above 0 it needs --vgg_weights.', low=0)
    lam_gp: float = option(10.0, 'Weight of the gradient penalty, used with --loss_type=wgan only.', low=0)
    lam_r1: float = option(
        0.0,
        'R1 (Mescheder et al. 2018): D_x and D_y also minimise half of this times the squared '
        'norm of their gradient at real faces (0: not).',
        low=0,
    )
    ema: float = option(
        0.0,
        'Decay of the exponential moving average of G_x, G_y and E_r, as 0.999, that is kept '
        'beside them and exported in their place (0: none).',
        low=0,
        below=1,
    )
    pam_checkpoint: str = option('', 'Folder of the `gaze-tf pretrain` run whose content encoder is used.')
    vgg_weights: str = option(
        '',
        'VGG-16 weights trained on ImageNet: the slim checkpoint (vgg_16.ckpt), or the '
        'Keras file (vgg16_weights_tf_dim_ordering_tf_kernels[_notop].h5).',
    )
    stop_metric: str = option('g_x/reconstruction', _STOP_METRIC)

    def __post_init__(self):
        super().__post_init__()
        if self.lam_code and not (self.twins and self.tune_content):
            raise GazeError(
                '--lam_code compares the codes of twins, of an E_c that learns: it needs --lam_twin above 0 and '
                '--tune_content.'
            )

    @property
    def twins(self):
        """Whether faces of Y are read with their twins."""
        return self.lam_twin > 0


@dataclasses.dataclass(frozen=True)
class RunConfig(_Validated):
    """How a training run goes along: files, cadence, compilation."""

    output_dir: str = option(
        '',
        'Folder for checkpoints, configuration and TensorBoard logs; a run found '
        'there is resumed. Several workers need one that they share.',
    )
    strategy: str = option(
        'one',
        'Devices to train on: one; mirrored is all GPUs of this machine (without any, its '
        'logical CPU devices); multi_worker is the GPUs of all machines in TF_CONFIG.',
        choices=('one', 'mirrored', 'multi_worker'),
    )
    startup_timeout: int = option(300, 'Seconds that a worker waits at its start for the others (multi_worker).', low=1)
    steps_per_call: int = option(
        1,
        'Steps in one call of the compiled function; --steps, --save_every, --log_every '
        'and --image_every must be multiples of it.',
        low=1,
    )
    seed: int = option(0, 'Seed of initial values, shuffling, flips and altered faces.', low=0)
    save_every: int = option(1_000, 'Steps between two checkpoints.', low=1)
    keep: int = option(3, 'How many of the newest checkpoints are kept.', low=1)
    log_every: int = option(100, 'Steps between two rows of TensorBoard scalars.', low=1)
    image_every: int = option(1_000, 'Steps between two TensorBoard image grids.', low=1)
    precision: str = option(
        'float32',
        'What networks compute in; weights, optimizer state, instance statistics, '
        'spectral norms and losses are float32 in any case. float16 scales losses.',
        choices=('float32', 'bfloat16', 'float16'),
    )
    deterministic: bool = option(
        False,
        'Use only operations that give the same bits each time (slower): two runs '
        'on the same machine give the same weights.',
    )
    xla: str = option(
        'auto',
        'Compile the training step with XLA: auto is on for a GPU, off for CPUs and for several devices.',
        choices=('auto', 'on', 'off'),
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ('save_every', 'log_every', 'image_every'):
            self.check_multiple(name, getattr(self, name))

    def check_multiple(self, name, steps):
        """Raises GazeError unless the flag's number of steps is a multiple of --steps_per_call."""
        if steps % self.steps_per_call:
            raise GazeError(f'--{name}={steps} must be a multiple of --steps_per_call={self.steps_per_call}.')


GROUPS = {
    'encoder': EncoderConfig,
    'model': ModelConfig,
    'data': DataConfig,
    'augment': AugmentConfig,
    'pam': PamConfig,
    'gan': GanConfig,
    'run': RunConfig,
}

_DEFINE = {int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_boolean, str: flags.DEFINE_string}


def define_flags(flag_values, *classes):
    """Defines one flag for each field of each class in `flag_values`."""
    for cls in classes:
        for field in dataclasses.fields(cls):
            help, choices = field.metadata['help'], field.metadata['choices']
            if choices:
                flags.DEFINE_enum(field.name, field.default, list(choices), help, flag_values=flag_values)
            else:
                _DEFINE[field.type](field.name, field.default, help, flag_values=flag_values)


def from_flags(cls, flag_values):
    """A `cls` with the values of the flags that `define_flags` made for it; raises GazeError."""
    return cls(**{field.name: flag_values[field.name].value for field in dataclasses.fields(cls)})


def from_trained(cls, flag_values, trained, whose):
    """As `from_flags`, but with the values of `trained`, an earlier configuration of some or all of its fields.

    Raises GazeError where a flag that was given differs from what `whose` (in words) was trained with, unless it `refines`.
    """
    for field in dataclasses.fields(trained):
        name, value = field.name, getattr(trained, field.name)
        if flag_values[name].present and flag_values[name].value != value:
            if field.metadata['refines']:
                continue
            raise GazeError(
                f'--{name}={flag_values[name].value}, but {whose} was trained with {value}: leave the flag '
                'out, or train that anew.'
            )
        flag_values[name].value = value
    return from_flags(cls, flag_values)


def save(path, **groups):
    """Writes configurations, by group name (see GROUPS), as JSON; never leaves half a file."""
    text = json.dumps({name: dataclasses.asdict(config) for name, config in groups.items()}, indent=1)
    write_text(path, text + '\n')


def load(path):
    """Reads what `save` wrote: {group name: configuration}. Raises GazeError that names the file."""
    try:
        groups = json.loads(pathlib.Path(path).read_text(encoding='utf-8'))
        return {name: GROUPS[name](**values) for name, values in groups.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, GazeError) as error:
        raise GazeError(f'{path} is not a configuration of this version: {error}') from error
