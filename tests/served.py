"""Modules with some signatures of a model: TensorFlow traces all that a module has, and each takes seconds."""

import tensorflow as tf

from gaze_tf.export import signatures


def module_of(model, *names):
    """A `signatures.serving_module` that has only these signatures."""
    whole, module = signatures.serving_module(model), tf.Module()
    module.weights = whole.weights
    for name in names:
        setattr(module, name, getattr(whole, name))
    return module


def save(model, folder, *names):
    """Writes a SavedModel with these signatures."""
    module = module_of(model, *names)
    tf.saved_model.save(module, str(folder), signatures={name: getattr(module, name) for name in names})
