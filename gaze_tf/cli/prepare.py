"""gaze-tf prepare --data_dir=CelebAGaze --output_dir=records

Packs a raw folder of faces into TFRecords for training. Every row and every image is checked; what
is wrong is listed with file, line and reason. Run again after an interruption or a change of the
source, it does only what is missing.

The raw folder holds 1/<name>.jpg and 1.txt (domain X: eyes at the camera), 0/<name>.jpg and 0.txt
(domain Y: eyes elsewhere). A row of a .txt is `name left_x left_y right_x right_y`: single spaces,
pixels, no extension; "left" is the eye with the smaller x in the image.
"""

from absl import flags

from gaze_tf import config
from gaze_tf.cli.main import require


def define_flags(values):
    flags.DEFINE_string('data_dir', '', 'Raw folder, with 1/, 1.txt, 0/ and 0.txt.', flag_values=values)
    flags.DEFINE_string('output_dir', '', 'Folder for the TFRecords and their manifest.', flag_values=values)
    flags.DEFINE_integer(
        'img_size',
        256,
        'Side of the stored images, in pixels; images of another size are resized, the others keep their bytes.',
        lower_bound=8,
        flag_values=values,
    )
    flags.DEFINE_string(
        'frame_eyes',
        config.FRAME_EYES,
        'Where the eyes stand in the stored images: left_x,left_y,right_x,'
        "right_y as shares of their side. With other values than CelebAGaze's means, which it was cut with, "
        'each face is cut anew.',
        flag_values=values,
    )
    flags.DEFINE_boolean(
        'twins',
        False,
        'Store with each face of Y its twin, the same face looking at the camera: '
        'twins/<name>.jpg or .png, or the file that the column twin of truth.csv names.',
        flag_values=values,
    )
    flags.DEFINE_integer(
        'test_x', 100, 'The last usable rows of 1.txt that are kept for testing.', lower_bound=0, flag_values=values
    )
    flags.DEFINE_integer(
        'test_y', 300, 'The last usable rows of 0.txt that are kept for testing.', lower_bound=0, flag_values=values
    )
    flags.DEFINE_integer('shard_size', 1024, 'Images in one file, at most.', lower_bound=1, flag_values=values)
    flags.DEFINE_boolean(
        'skip_bad',
        False,
        'Leave out bad rows and images, instead of stopping after all are listed.',
        flag_values=values,
    )


def run(values):
    require(values, 'data_dir', 'output_dir')
    config.eye_shares(values.frame_eyes)
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.data import celebagaze, records

    output_dir = values.output_dir
    manifest, written, kept = celebagaze.prepare(
        values.data_dir,
        output_dir,
        values.img_size,
        {'x': values.test_x, 'y': values.test_y},
        values.shard_size,
        values.skip_bad,
        values.frame_eyes,
        values.twins,
    )
    for domain in records.DOMAINS:
        bad_images = sum(len(shard.left_out) for shard in manifest.shards if shard.domain == domain)
        train, test = (manifest.count(domain, split) for split in records.SPLITS)
        print(
            f'{domain.upper()}: {train} train, {test} test; '
            f'{manifest.missing[domain]} rows without an image; left out as bad: '
            f'{len(manifest.bad_rows[domain])} rows, {bad_images} images'
        )
    if any(manifest.bad_rows.values()) or any(shard.left_out for shard in manifest.shards):
        print(f'What was left out is listed in {output_dir}/{records.MANIFEST_NAME}.')
    if written:
        print(f'{output_dir} is complete: {written} shards written, {kept} kept.')
    else:
        print(f'{output_dir} is complete and unchanged: no shard had to be written.')
