"""The model that comes with gaze_tf: weights in people.npz, configuration in people.json, and MODEL_CARD.md.

people.npz holds the networks that correct and animate. A variable is named by its network, the number of its layer
among those with weights, and itself, such as g_x/encoder/00/kernel. Large kernels are stored as 8-bit integers times a
scale for each index of their last axis (`NAME.scale`), everything else as float16. Every later version must load the
file.
"""

import io
import pathlib
import zipfile
import zlib

import numpy as np
import tensorflow as tf

from gaze_tf import config as config_lib
from gaze_tf.errors import GazeError
from gaze_tf.files import new_file, reason
from gaze_tf.models.gaze_model import GazeModel

FOLDER = pathlib.Path(__file__).parent
# kernels with at least this many weights are stored in 8 bits
_LARGE = 2**15
_SCALE = '.scale'
WEIGHTS, CONFIG, CARD = 'people.npz', 'people.json', 'MODEL_CARD.md'
MAX_MB = 25


def load_model(folder: pathlib.Path | str = FOLDER) -> GazeModel:
    """The model in a folder, by default the one that comes with gaze_tf, without discriminators.

    Raises GazeError if a file is missing or damaged, or does not fit the other.
    """
    folder = pathlib.Path(folder)
    arrays = _read(folder / WEIGHTS)
    try:
        found = config_lib.load(folder / CONFIG)
        config = found['model']
    except (GazeError, KeyError) as error:
        raise _refusal(folder / CONFIG, 'is missing or damaged') from error
    model = GazeModel(config, native_crops=False, discriminators=False)
    variables = _named(model)
    wrong = sorted(set(arrays) ^ set(variables)) or [
        name for name, variable in variables.items() if arrays[name].shape != tuple(variable.shape)
    ]
    if wrong:
        raise _refusal(folder / WEIGHTS, f'belongs to another model than {CONFIG} (first difference: {wrong[0]})')
    for name, variable in variables.items():
        variable.assign(arrays[name])
    model.calibration = found.get('calibration')
    return model


def pack(model: GazeModel, folder: pathlib.Path | str) -> int:
    """Writes WEIGHTS and CONFIG of a model into a folder; the same model gives the same bytes.

    Returns the size of WEIGHTS in bytes. Raises GazeError, and writes nothing, if a weight is not finite as float16 or
    the file would be larger than MAX_MB.
    """
    arrays = {}
    for name, variable in sorted(_named(model).items()):
        arrays.update(_packed(name, variable.numpy()))
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise GazeError(f'{name} holds values that are not finite numbers as float16; nothing was written.')
    archive = io.BytesIO()
    np.savez(archive, **arrays)
    content = archive.getvalue()
    if len(content) > MAX_MB * 1e6:
        raise GazeError(
            f'The weights take {len(content) / 1e6:.1f} MB, and the package may carry {MAX_MB} MB at most; nothing was '
            'written. Train a smaller model.'
        )
    path = pathlib.Path(folder) / WEIGHTS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as file:
            file.write(content)
            file.flush()
            config_lib.save(path.with_name(CONFIG), **model.configurations)
    except OSError as error:
        raise GazeError(f'cannot be written: {reason(error)}.', about=path) from error
    return len(content)


def _packed(name, values):
    """{name in the file: array} of a float32 variable."""
    with np.errstate(over='ignore', invalid='ignore'):  # `pack` refuses values that are not finite
        if values.size < _LARGE:
            return {name: values.astype(np.float16)}
        # float16, so that packing a loaded model again changes nothing
        scale = (np.abs(values).max(axis=tuple(range(values.ndim - 1))) / 127).astype(np.float16)
        whole = np.round(np.divide(values, scale, out=np.zeros_like(values), where=scale > 0))
        return {name: whole.astype(np.int8), name + _SCALE: scale}


def _unpacked(arrays):
    """{name: float32 array} of the variables in a file."""
    return {
        name: values.astype(np.float32) * arrays.get(name + _SCALE, np.float32(1))
        for name, values in arrays.items()
        if not name.endswith(_SCALE)
    }


def _read(path):
    """{name: float32 array} of a weights file."""
    try:
        with np.load(path) as file:
            return _unpacked({name: file[name] for name in file.files})
    except FileNotFoundError as error:
        raise _refusal(path, 'is missing') from error
    # damage shows anywhere between the archive's list and its checksums; other files have no attribute `files`
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise _refusal(path, 'is damaged') from error


def _refusal(path, what):
    return GazeError(
        f'The model that comes with gaze_tf cannot be loaded: {path} {what}. Install gaze_tf again, or use another '
        'model.'
    )


def _named(model):
    """{name: variable} of the networks that correct and animate, independent of the names that Keras gives."""
    found: dict[str, tf.Variable] = {}
    for name, network in model.serving_networks.items():
        parts = (
            {name: network}
            if isinstance(network, tf.keras.Model)
            else {f'{name}/encoder': network.encoder, f'{name}/decoder': network.decoder}
        )
        for part, keras_model in parts.items():
            layers = [layer for layer in keras_model.layers if layer.variables]
            found.update(
                {
                    f'{part}/{number:02}/{_last(variable)}': variable
                    for number, layer in enumerate(layers)
                    for variable in layer.variables
                }
            )
    return found


def _last(variable):
    """'kernel' of 'conv2d_17/kernel:0'."""
    return variable.name.rpartition('/')[2].partition(':')[0]
