"""gaze-tf evaluate --model=runs/saved_model --data=CelebAGaze --output=runs/report

Measures a model on held-out faces of a folder in CelebAGaze's layout: how well it gives back what it was given, whether
the gaze moves where it should, whether the person's own eyes are preserved, that nothing else changes, and how fast it
is. The report is a folder with index.html (tables, pictures and plots), report.json and per_image.csv. Degrees need
truth.csv and twins/, which `gaze-tf turn-dataset` makes from photos of people. On any photos, iris offsets are
measured.
"""

import pathlib

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import with_flags
from gaze_tf.evaluation.options import EvaluationOptions, check


def define_flags(values):
    option_flags.define(values, EvaluationOptions)


def run(values):
    options = option_flags.read(values, EvaluationOptions)
    check(options)
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.evaluation.evaluate import evaluate
    from gaze_tf.evaluation.report import table, write

    report = evaluate(options)
    print(with_flags(table.text(report), frozenset(values)))
    print(f'{pathlib.Path(options.output) / write.PAGE} shows it with pictures.')
