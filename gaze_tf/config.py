"""The configuration of a training: frozen dataclasses, one for each concern, with the paper's values as defaults.

An option is declared once, as a field with name, type, default, meaning with unit, and bounds (see `gaze_tf.options`).
The flags of `gaze-tf pretrain` and `gaze-tf train` are made from the fields, as is the JSON beside every checkpoint.
"""

import dataclasses
import json
import pathlib

from gaze_tf.calibration import Calibration
from gaze_tf.errors import GazeError
from gaze_tf.files import write_text
from gaze_tf.options import Options, option

CONFIG_NAME = 'config.json'
# mean eye positions of CelebAGaze's 25,183 training rows (78.6, 92.9, 177.8, 92.7) as shares of its 256 pixels
FRAME_EYES = '0.30703125,0.362890625,0.69453125,0.362109375'


def eye_shares(text: str) -> tuple[float, ...]:
    """A value of `frame_eyes` as four floats (left_x, left_y, right_x, right_y). Raises GazeError."""
    try:
        shares = tuple(float(number) for number in text.split(','))
    except ValueError:
        shares = ()
    # (a comparison with NaN is false)
    if len(shares) != 4 or not all(0 < share < 1 for share in shares) or shares[0] >= shares[2]:
        raise GazeError(
            f'`frame_eyes={text}` must be left_x,left_y,right_x,right_y: four numbers above 0 and below 1, the '
            f'eye with the smaller x first, such as {FRAME_EYES}.'
        )
    return shares


@dataclasses.dataclass(frozen=True)
class EncoderConfig(Options):
    """Geometry, and the content encoder E_c: what PAM trains with. It is stored with the weights."""

    img_size: int = option(256, 'Side of the square face images, in pixels.', low=8, high=4096)
    crop_w: int = option(50, 'Width of an eye box, in pixels of the face image.', low=2)
    crop_h: int = option(30, 'Height of an eye box, in pixels of the face image.', low=2)
    crop_px: int = option(
        64,
        'Side to which eye boxes are resized for the networks, in pixels (the paper: img_size / 4).',
        low=8,
        high=1024,
    )
    frame_eyes: str = option(
        FRAME_EYES,
        'Where the eyes are in a face image: left_x,left_y,right_x,right_y as shares of its side (the paper: the '
        'means of CelebAGaze).',
    )
    code_size: int = option(256, 'Length of the content code of one eye.', low=1, high=8192)
    ngf: int = option(16, 'Channels of the first layer of E_c, G_x and G_y.', low=1, high=1024)
    n_layers_r: int = option(3, 'Number of stride-2 convolutions in the content encoder E_c.', low=1, high=10)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_multiple('crop_px', 'n_layers_r')
        eye_shares(self.frame_eyes)
        if max(self.crop_w, self.crop_h) > self.img_size:
            raise GazeError(
                f'An eye box of {self.crop_w}x{self.crop_h} pixels (`crop_w`, `crop_h`) does not fit into an image of '
                f'{self.img_size} (`img_size`).'
            )

    @property
    def eye_shares(self) -> tuple[float, ...]:
        """`frame_eyes` as four floats."""
        return eye_shares(self.frame_eyes)

    def _check_multiple(self, size: str, layers: str) -> None:
        value, factor = getattr(self, size), 2 ** getattr(self, layers)
        if value % factor:
            raise GazeError(f'`{size}={value}` must be a multiple of {factor} (2 to the power of `{layers}`).')


@dataclasses.dataclass(frozen=True)
class ModelConfig(EncoderConfig):
    """All that determines what the dual in-painting model computes. It is stored with the weights."""

    ndf: int = option(16, 'Channels of the first layer of the discriminators.', low=1, high=1024)
    nef: int = option(32, 'Channels of the first layer of the angle encoder E_r.', low=1, high=1024)
    n_layers_g: int = option(5, 'Number of stride-2 convolutions in G_x and G_y.', low=1, high=10)
    n_layers_d: int = option(5, 'Number of stride-2 convolutions in each branch of a discriminator.', low=1, high=10)
    n_layers_e: int = option(3, 'Number of stride-2 convolutions in the angle encoder E_r.', low=1, high=10)
    use_sp: bool = option(True, 'Use spectral normalization in every layer of the discriminators.')
    use_pam: bool = option(True, "Give PAM's content codes to G_x and G_y; off: zeros instead (for ablations).")
    palette: int = option(
        0,
        'Number of colors that are picked from each eye, wherever its iris is, and given to G_x and G_y to paint '
        'with. This preserves the color of irises; 8 is enough. 0 (the paper): none.',
        low=0,
        high=256,
    )
    gaze_free_content: bool = option(
        False,
        'Give G_y the content code of the corrected eyes, whatever gaze it paints, so that the angle code alone says '
        'where eyes look (the paper: the content code of the eyes whose gaze it paints).',
        refines=True,
    )
    match_detail: bool = option(
        False, 'Give painted eyes as much fine detail as the eyes of the photo have (the paper: no).', refines=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_multiple('img_size', 'n_layers_g')

    @property
    def content_size(self) -> int:
        """Length of the content codes of both eyes of a face."""
        return 2 * self.code_size

    @property
    def palette_size(self) -> int:
        """Length of the palettes of both eyes of a face."""
        return 6 * self.palette


@dataclasses.dataclass(frozen=True)
class DataConfig(Options):
    """Where training images come from."""

    data_dir: str = option('', 'Folder of TFRecords that `gaze-tf prepare` wrote.', affects='files')
    flip: bool = option(True, 'Mirror a whole batch, with its eye positions, with probability 1/2.')
    skip_corrupt: bool = option(False, 'Skip records that cannot be read instead of stopping.')


@dataclasses.dataclass(frozen=True)
class AugmentConfig(Options):
    """Random changes of training faces, so that a few good photos teach about many poor ones. The paper makes none."""

    aug_color: float = option(
        0.0, 'Tint: standard deviation of the log2 gains of the red and of the blue levels.', low=0, high=1
    )
    aug_saturation: float = option(
        0.0, 'Saturation: colors get up to 2 to the power of this stronger or weaker.', low=0, high=3
    )
    aug_exposure: float = option(
        0.0,
        'Exposure: up to this many stops more or less; gamma changes by up to 2 to the power of half of it.',
        low=0,
        high=3,
    )
    aug_gray: float = option(0.0, 'Probability that a face becomes gray.', low=0, high=1)
    aug_low_light: float = option(
        0.0, 'Probability of low light: levels fall to between 1/5 and 1/2, with noise.', low=0, high=1
    )
    aug_blur: float = option(0.0, 'Probability of a Gaussian blur with a sigma of 0.3 to 3 pixels.', low=0, high=1)
    aug_scale_down: float = option(
        0.0, 'Probability that a face is reduced 1.2 to 4 times and enlarged again.', low=0, high=1
    )
    aug_jpeg: float = option(0.0, 'Probability of JPEG compression with a quality of 30 to 95.', low=0, high=1)
    aug_noise: float = option(
        0.0, 'Probability of Gaussian noise with a sigma of up to 8 of 255 levels.', low=0, high=1
    )
    aug_shift: float = option(
        0.0,
        'Errors of eye positions, as a detector makes them: standard deviation of x and of y of each eye, in pixels. '
        'The face moves; the positions stay.',
        low=0,
    )


_STOP_METRIC = 'Term on held-out faces that `stop_patience` watches; smaller is better.'


@dataclasses.dataclass(frozen=True)
class _Training(Options):
    """Options of both training stages that the paper does not use; off by default."""

    clip_norm: float = option(
        0.0,
        'Largest global norm of the gradients of an update; larger ones are scaled down. 0 disables clipping.',
        low=0,
    )
    warm_start: str = option(
        '',
        'Folder of an earlier run of this command, or of an imported one: a new run starts from its weights (their '
        'averages, if it has them) and with its model, at step 0.',
        affects='files',
    )
    stop_patience: int = option(
        0,
        'Stop when `stop_metric` has not improved for this many checkpoints in a row (0: never). With a larger `keep` '
        'the best checkpoint is still there.',
        low=0,
        affects='run',
        stores='early_stop',
    )


@dataclasses.dataclass(frozen=True)
class PamConfig(_Training):
    """Pretraining of the content encoder (PAM)."""

    steps: int = option(100_000, 'Training steps (the paper does not give their number).', low=1, affects='run')
    batch_size: int = option(16, 'Faces of each domain in a step, on all devices together.', low=1)
    lr_r: float = option(5e-4, 'Learning rate of Adam.', low=0)
    beta1: float = option(0.5, "Adam's decay rate of the first moment.", low=0, below=1)
    beta2: float = option(0.999, "Adam's decay rate of the second moment.", low=0, below=1)
    stop_metric: str = option('loss', _STOP_METRIC, affects='run')
    twins = False  # whether faces of Y are read with their twins


@dataclasses.dataclass(frozen=True)
class GanConfig(_Training):
    """Training of GCM and GAM: optimization and loss weights."""

    steps: int = option(200_000, 'Training steps.', low=1, affects='run')
    batch_size: int = option(16, 'Faces of each domain in a step, on all devices together.', low=1)
    lr_d: float = option(
        1e-4, 'Learning rate of Adam for D_x and D_y; separate from `lr_g` for TTUR (Heusel et al. 2017).', low=0
    )
    lr_g: float = option(1e-4, 'Learning rate of Adam for G_x, and for G_y with E_r.', low=0)
    beta1: float = option(0.5, "Adam's decay rate of the first moment.", low=0, below=1)
    beta2: float = option(0.999, "Adam's decay rate of the second moment.", low=0, below=1)
    decay_start: int = option(
        20_000, 'Last step with the full learning rate; from there on it falls linearly to 0 at `steps`.', low=0
    )
    decay_every: int = option(2_000, 'Steps between two changes of the learning rate.', low=1)
    loss_type: str = option(
        'softplus',
        'Adversarial loss; lsgan_original is the faulty lsgan of the original code, for comparisons.',
        choices=('softplus', 'hinge', 'lsgan', 'lsgan_original', 'wgan', 'gan'),
    )
    use_sat: bool = option(
        True,
        'Synthesis-As-Training: G_y and D_x also learn from faces whose eyes G_y moved to the camera (off: for '
        'ablations).',
    )
    lam_r: float = option(1.0, 'Weight of the reconstruction terms (localL1).', low=0)
    lam_hue: float = option(
        0.0, 'Weight of color without brightness in every localL1, which is mostly about brightness.', low=0
    )
    lam_palette: float = option(
        1.0, 'Weight of the terms that keep the palettes of the eyes that G_y paints, with `palette`.', low=0
    )
    lam_twin: float = option(
        0.0,
        'Weight of the reconstruction of twins. Above 0, G_x also learns from Y, and D_x judges what it makes of Y. '
        'The records must hold a twin of each face of Y, which looks at the camera (`gaze-tf prepare --twins`). 0: '
        'the paper.',
        low=0,
    )
    twin_focus: float = option(
        0.0,
        'Extra weight, in the reconstruction of twins, of pixels where face and twin differ, mostly in irises: the '
        'weight of a pixel is 1 plus this times the difference.',
        low=0,
    )
    lam_code: float = option(
        0.0,
        "Weight of the difference between the content codes of a face and its twin, so that an eye's code does not "
        'depend on where it looks. Above 0 it needs `lam_twin` and `tune_content`.',
        low=0,
    )
    tune_content: bool = option(
        False, "Train E_c further, in G_x's update (the paper keeps the one that PAM trained as it is)."
    )
    freeze_gcm: bool = option(
        False,
        'Train G_y and E_r only: G_x, E_c and the palettes stay as `warm_start` has them. Correction then stays as it '
        'is, to the pixel.',
    )
    lam_p: float = option(100.0, 'Weight of the perceptual terms; above 0 it needs `vgg_weights`.', low=0)
    lam_gp: float = option(10.0, 'Weight of the gradient penalty, used with `loss_type=wgan` only.', low=0)
    lam_r1: float = option(
        0.0,
        'R1 (Mescheder et al. 2018): D_x and D_y also minimize half of this times the squared norm of their gradient '
        'at real faces. 0 disables it.',
        low=0,
    )
    ema: float = option(
        0.0,
        'Decay rate, such as 0.999, of moving averages of G_x, G_y and E_r. They are stored beside the weights and '
        'exported in their place. 0: none.',
        low=0,
        below=1,
        stores='averages',
    )
    pam_checkpoint: str = option(
        '', 'Folder of the `gaze-tf pretrain` run whose content encoder is used.', affects='files'
    )
    vgg_weights: str = option(
        '',
        'VGG-16 weights trained on ImageNet: the slim checkpoint (vgg_16.ckpt), or the '
        'Keras file (vgg16_weights_tf_dim_ordering_tf_kernels[_notop].h5).',
        affects='files',
    )
    stop_metric: str = option('g_x/reconstruction', _STOP_METRIC, affects='run')

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lam_code and not (self.twins and self.tune_content):
            raise GazeError(
                '`lam_code` compares the content codes of twins while E_c learns: it needs `lam_twin` above 0, and '
                '`tune_content`.'
            )
        if self.freeze_gcm and (self.twins or self.tune_content):
            raise GazeError('`freeze_gcm` goes without `lam_twin` and `tune_content`, which train G_x and E_c.')

    @property
    def twins(self) -> bool:
        """Whether faces of Y are read with their twins."""
        return self.lam_twin > 0


@dataclasses.dataclass(frozen=True)
class RunConfig(Options):
    """How a training run proceeds: its files, how often it writes them, devices and compilation."""

    output_dir: str = option(
        '',
        'Folder for checkpoints, configuration and TensorBoard logs; a run that is there already is resumed. Several '
        'workers need a folder that they share.',
        affects='files',
    )
    strategy: str = option(
        'one',
        'Devices to train on: one; mirrored, all GPUs of this machine (without any, its '
        'logical CPU devices); multi_worker, the GPUs of all machines in TF_CONFIG.',
        choices=('one', 'mirrored', 'multi_worker'),
    )
    startup_timeout: int = option(
        300, 'Seconds that a worker waits for the others at its start (multi_worker).', low=1, affects='files'
    )
    steps_per_call: int = option(
        1,
        'Steps in one call of the compiled function; `steps`, `save_every`, `log_every` '
        'and `image_every` must be multiples of it.',
        low=1,
        affects='run',
    )
    seed: int = option(0, 'Seed of initial values, shuffling, flips and random changes of faces.', low=0)
    save_every: int = option(1_000, 'Steps between two checkpoints.', low=1, affects='files')
    keep: int = option(3, 'Number of checkpoints that are kept, the newest.', low=1, affects='files')
    log_every: int = option(100, 'Steps between two rows of TensorBoard scalars.', low=1, affects='files')
    image_every: int = option(1_000, 'Steps between two TensorBoard image grids.', low=1, affects='files')
    precision: str = option(
        'float32',
        'What networks compute in; weights, optimizer state, instance statistics, '
        'spectral norms and losses are always float32. float16 scales losses.',
        choices=('float32', 'bfloat16', 'float16'),
    )
    deterministic: bool = option(
        False,
        'Use only operations that always give the same bits (slower): two runs on the same machine give the same '
        'weights.',
    )
    xla: str = option(
        'auto',
        'Compile the training step with XLA: auto is on for a GPU, off for CPUs and for several devices.',
        choices=('auto', 'on', 'off'),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ('save_every', 'log_every', 'image_every'):
            self.check_multiple(name, getattr(self, name))

    def check_multiple(self, name: str, steps: int) -> None:
        """Raises GazeError unless the number of steps of the option `name` is a multiple of `steps_per_call`."""
        if steps % self.steps_per_call:
            raise GazeError(f'`{name}={steps}` must be a multiple of `steps_per_call={self.steps_per_call}`.')


GROUPS: dict[str, type[Options]] = {
    'encoder': EncoderConfig,
    'model': ModelConfig,
    'data': DataConfig,
    'augment': AugmentConfig,
    'pam': PamConfig,
    'gan': GanConfig,
    'run': RunConfig,
    'calibration': Calibration,
}


def save(path: pathlib.Path | str, **groups: Options) -> None:
    """Writes configurations, by group name (see GROUPS), as JSON; never leaves half a file."""
    text = json.dumps({name: dataclasses.asdict(config) for name, config in groups.items()}, indent=1)
    write_text(path, text + '\n')


def load(path: pathlib.Path | str) -> dict:
    """Reads what `save` wrote: {group name: configuration}. Raises GazeError that names the file."""
    try:
        groups = json.loads(pathlib.Path(path).read_text(encoding='utf-8'))
        return {name: GROUPS[name](**values) for name, values in groups.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, GazeError) as error:
        raise GazeError(f'{path} is not a configuration of this version: {error}') from error
