"""Configurations: what is refused, and the way to flags and JSON and back."""

import dataclasses
import json

import pytest
from absl import flags

from gaze_tf import config
from gaze_tf.calibration import Calibration
from gaze_tf.cli import option_flags
from gaze_tf.errors import GazeError

FIELDS = [(cls, field) for cls in config.GROUPS.values() for field in dataclasses.fields(cls)]
BOUNDED = [(cls, field) for cls, field in FIELDS if field.metadata['low'] is not None]
CAPPED = [(cls, field) for cls, field in FIELDS if field.metadata['high'] is not None]


@pytest.mark.parametrize(
    'cls, field', BOUNDED, ids=lambda value: getattr(value, 'name', getattr(value, '__name__', None))
)
def test_lower_bounds(cls, field):
    with pytest.raises(GazeError, match=f'`{field.name}` must be at least'):
        cls(**{field.name: field.type(field.metadata['low']) - 1})


@pytest.mark.parametrize(
    'cls, field', CAPPED, ids=lambda value: getattr(value, 'name', getattr(value, '__name__', None))
)
def test_upper_bounds(cls, field):
    high = field.metadata['high']
    # that many halvings need sizes that can be halved
    fitting = {'n_layers_r': {'crop_px': 1024}, 'n_layers_g': {'img_size': 1024}}.get(field.name, {})
    assert getattr(cls(**{field.name: high}, **fitting), field.name) == high
    with pytest.raises(GazeError, match=f'`{field.name}` must be at most {high}'):
        cls(**{field.name: high + (1 if field.type is int else 0.1)}, **fitting)


@pytest.mark.parametrize(
    'cls, field',
    [(cls, field) for cls, field in FIELDS if field.type is float],
    ids=lambda value: getattr(value, 'name', getattr(value, '__name__', None)),
)
def test_nan_is_refused(cls, field):
    with pytest.raises(GazeError, match=f'`{field.name}=nan` must be finite'):
        cls(**{field.name: float('nan')})


@pytest.mark.parametrize(
    'cls, name, value',
    [
        (config.ModelConfig, 'ndf', 2.5),
        (config.ModelConfig, 'ndf', '16'),
        (config.ModelConfig, 'ndf', True),
        (config.ModelConfig, 'use_sp', 1),
        (config.GanConfig, 'lr_g', '1e-4'),
        (config.GanConfig, 'lr_g', None),
        (config.GanConfig, 'vgg_weights', None),
        (config.DataConfig, 'flip', 'yes'),
        (config.RunConfig, 'seed', None),
    ],
)
def test_wrong_types_are_refused(cls, name, value):
    with pytest.raises(GazeError, match=f'`{name}` must be of type'):
        cls(**{name: value})


def test_whole_numbers_become_floats():
    value = config.GanConfig(lam_p=0).lam_p
    assert value == 0 and type(value) is float


@pytest.mark.parametrize('cls, name', [(config.GanConfig, 'loss_type'), (config.RunConfig, 'xla')])
def test_choices(cls, name):
    choices = next(field.metadata['choices'] for field in dataclasses.fields(cls) if field.name == name)
    for choice in choices:
        assert getattr(cls(**{name: choice}), name) == choice
    with pytest.raises(GazeError) as error:
        cls(**{name: 'nonsense'})
    assert all(choice in str(error.value) for choice in choices) and 'nonsense' in str(error.value)


def test_adversarial_losses_are_the_ones_there_are():
    from gaze_tf.losses.adversarial import LOSSES

    field = next(field for field in dataclasses.fields(config.GanConfig) if field.name == 'loss_type')
    assert set(field.metadata['choices']) == set(LOSSES)


@pytest.mark.parametrize(
    'cls, values, option',
    [
        (config.EncoderConfig, {'crop_px': 60}, '`crop_px=60`'),
        (config.EncoderConfig, {'crop_px': 8, 'n_layers_r': 4}, '`crop_px=8`'),
        (config.ModelConfig, {'img_size': 72}, '`img_size=72`'),
        (config.ModelConfig, {'img_size': 64, 'crop_w': 65}, '`crop_w`'),
        (config.ModelConfig, {'img_size': 64, 'crop_h': 65}, '`crop_h`'),
    ],
)
def test_sizes_that_do_not_fit(cls, values, option):
    with pytest.raises(GazeError, match=option):
        cls(**values)


def test_a_box_may_be_as_large_as_the_image():
    assert config.ModelConfig(img_size=64, crop_w=64, crop_h=64).crop_w == 64


def test_defaults_are_the_papers():
    model, gan, pam = config.ModelConfig(), config.GanConfig(), config.PamConfig()
    assert dataclasses.asdict(model) == {
        'img_size': 256,
        'crop_w': 50,
        'crop_h': 30,
        'crop_px': 64,
        'code_size': 256,
        'ngf': 16,
        'frame_eyes': '0.30703125,0.362890625,0.69453125,0.362109375',
        'n_layers_r': 3,
        'ndf': 16,
        'nef': 32,
        'n_layers_g': 5,
        'n_layers_d': 5,
        'n_layers_e': 3,
        'use_sp': True,
        'use_pam': True,
        'palette': 0,
        'gaze_free_content': False,
        'match_detail': False,
    }
    assert (gan.steps, gan.batch_size, gan.lr_d, gan.lr_g) == (200000, 16, 1e-4, 1e-4)
    assert (gan.beta1, gan.beta2) == (0.5, 0.999)
    assert (gan.decay_start, gan.decay_every, gan.loss_type) == (20000, 2000, 'softplus')
    assert (gan.lam_r, gan.lam_p, gan.lam_gp, gan.use_sat) == (1, 100, 10, True)
    assert set(dataclasses.asdict(config.AugmentConfig()).values()) == {0}
    assert (pam.batch_size, pam.lr_r, pam.beta1, pam.beta2) == (16, 5e-4, 0.5, 0.999)


def test_eyes_stand_in_the_frame_where_celebagaze_has_them():
    assert config.EncoderConfig().eye_shares == (78.6 / 256, 92.9 / 256, 177.8 / 256, 92.7 / 256)
    assert config.ModelConfig(frame_eyes='0.2,0.45,.8,45e-2').eye_shares == (0.2, 0.45, 0.8, 0.45)


@pytest.mark.parametrize(
    'text',
    [
        '',
        '0.2,0.45,0.8',
        '0.2,0.45,0.8,0.45,0.5',
        '0.2,x,0.8,0.45',
        '0,0.45,0.8,0.45',
        '0.2,0.45,0.8,1',
        '0.8,0.45,0.2,0.45',
        '0.5,0.4,0.5,0.6',
        '0.2,nan,0.8,0.45',
        '0.2,0.45,inf,0.45',
    ],
)
def test_eyes_that_cannot_stand_in_a_frame(text):
    with pytest.raises(GazeError, match=f'`frame_eyes={text}` must be left_x,left_y,right_x,right_y'):
        config.EncoderConfig(frame_eyes=text)


def test_a_file_without_where_eyes_stand_means_celebagazes(tmp_path):
    path = tmp_path / 'config.json'
    config.save(path, encoder=config.EncoderConfig())
    values = json.loads(path.read_text())
    del values['encoder']['frame_eyes']
    path.write_text(json.dumps(values))
    assert config.load(path)['encoder'] == config.EncoderConfig()


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.GanConfig().lam_p = 1.0


CHANGED = {
    'encoder': config.EncoderConfig(img_size=128, crop_w=30, frame_eyes='0.2,0.45,0.8,0.45'),
    'model': config.ModelConfig(img_size=128, use_sp=False),
    'data': config.DataConfig(data_dir='Gesichter äöü', flip=False),
    'augment': config.AugmentConfig(aug_blur=0.25, aug_shift=1.0),
    'pam': config.PamConfig(lr_r=1.234567890123e-7),
    'gan': config.GanConfig(loss_type='wgan', lam_p=0.1),
    'run': config.RunConfig(output_dir='here', seed=2**40, xla='on'),
    'calibration': Calibration(step=3, reach=25.0, to_code=(0.5, *range(17)), to_degrees=(-1e-3, *range(17))),
}


def test_json_round_trip(tmp_path):
    assert set(CHANGED) == set(config.GROUPS)
    path = tmp_path / 'config.json'
    config.save(path, **CHANGED)
    assert config.load(path) == CHANGED
    assert [entry.name for entry in tmp_path.iterdir()] == ['config.json']


def as_flag(value):
    return ','.join(map(repr, value)) if isinstance(value, tuple) else value


def test_flags_round_trip():
    for name, expected in CHANGED.items():
        values = flags.FlagValues()
        option_flags.define(values, type(expected))
        values(['test', *(f'--{key}={as_flag(value)}' for key, value in dataclasses.asdict(expected).items())])
        assert option_flags.read(values, config.GROUPS[name]) == expected


def test_flags_without_arguments_are_the_defaults():
    for cls in config.GROUPS.values():
        values = flags.FlagValues()
        option_flags.define(values, cls)
        values(['test'])
        assert option_flags.read(values, cls) == cls()


def break_file(path, how):
    values = json.loads(path.read_text())
    if how == 'unknown option':
        values['gan']['lam_q'] = 1
    elif how == 'unknown group':
        values['gin'] = values.pop('gan')
    elif how == 'bad value':
        values['gan']['steps'] = -1
    elif how == 'no mapping':
        values['gan'] = [1, 2]
    elif how == 'a list':
        values = [values]
    text = json.dumps(values)
    path.write_text(text[: len(text) // 2] if how == 'half written' else text)


@pytest.mark.parametrize(
    'how', ['unknown option', 'unknown group', 'bad value', 'no mapping', 'a list', 'half written']
)
def test_broken_files_are_refused_by_name(tmp_path, how):
    path = tmp_path / 'config.json'
    config.save(path, gan=config.GanConfig(), run=config.RunConfig())
    break_file(path, how)
    with pytest.raises(GazeError, match=str(path)):
        config.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(GazeError, match='nowhere.json'):
        config.load(tmp_path / 'nowhere.json')


def test_an_interrupted_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'config.json'
    config.save(path, gan=config.GanConfig(steps=7))

    def no_replace(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr('os.replace', no_replace)
    with pytest.raises(KeyboardInterrupt):
        config.save(path, gan=config.GanConfig(steps=8))
    assert config.load(path) == {'gan': config.GanConfig(steps=7)}
