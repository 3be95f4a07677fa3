"""gaze-tf turn-dataset --input=at_camera --output_dir=data/turned

Makes a training set in CelebAGaze's layout of photos of people who look at the camera: domain X (1/) are their faces,
domain Y (0/) the same with their eyes turned elsewhere. twins/ holds each face of Y at the camera, truth.csv the angles and
the positions of all irises, rejects.json the photos that were left out, and why. The same flags and photos give the same
files.
"""

from absl import flags

from gaze_tf.cli.main import require


def define_flags(values):
    flags.DEFINE_list(
        'input',
        [],
        'Folders of photos of people who look at the camera (folders in them, too). The same name '
        'in several is the same person.',
        flag_values=values,
    )
    flags.DEFINE_string('output_dir', '', 'Folder for the training set; it must not exist yet.', flag_values=values)
    flags.DEFINE_integer('img_size', 256, 'Side of the faces in pixels.', lower_bound=16, flag_values=values)
    flags.DEFINE_integer('directions', 3, 'Turned versions of each photo.', lower_bound=1, flag_values=values)
    flags.DEFINE_float('min_angle', 10, 'Degrees by which eyes are turned at least; at most 20.', flag_values=values)
    flags.DEFINE_float(
        'max_angle', 30, 'Degrees by which eyes are turned at most; up and down 20 at most.', flag_values=values
    )
    flags.DEFINE_float(
        'retouch_x',
        0.5,
        'Share of domain X that is turned by 0 to 2 degrees, so that traces of repainting do '
        'not tell the domains apart.',
        flag_values=values,
    )
    flags.DEFINE_string(
        'test_people',
        '',
        "Regular expression for the names of files without their suffixes, such as '7$': "
        'people who are held out; their faces come last. .: everybody, for a set to measure with.',
        flag_values=values,
    )
    flags.DEFINE_string(
        'identity',
        '',
        "Regular expression for the same with a group, such as '^(\\d+)_': the person's id, "
        "where there are several photos of one; '': the whole name.",
        flag_values=values,
    )
    flags.DEFINE_integer('seed', 0, "Of the directions, with each photo's name.", lower_bound=0, flag_values=values)


def run(values):
    require(values, 'input', 'output_dir')
    # TensorFlow takes seconds to import
    from gaze_tf.datasets import turned as dataset

    settings = dataset.Settings(*(values[name].value for name in dataset.Settings._fields))
    made = dataset.make(values.input, values.output_dir, settings, values.identity, values.test_people)
    print(
        f'{values.output_dir}: {made.people} people, {made.x} faces in domain X (1/, eyes at the camera), {made.y} in '
        f'domain Y (0/, eyes elsewhere), {len(made.rejects)} files left out, or only in X (rejects.json)'
    )
    if values.test_people:
        print(
            f'To hold out those of --test_people: gaze-tf prepare --data_dir={values.output_dir} --test_x={made.test_x} '
            f'--test_y={made.test_y}'
        )
