"""gaze-tf prepare --data_dir=CelebAGaze --output_dir=records

Packs a folder of faces into TFRecords for training. Every row and every image is checked; problems are listed with
file, line and reason. Run again after an interruption or a change of the source, it does only what is missing.

The folder holds 1/<name>.jpg and 1.txt (domain X: eyes at the camera), 0/<name>.jpg and 0.txt (domain Y: eyes
elsewhere). A row of a .txt is `name left_x left_y right_x right_y`: single spaces, pixels, no extension; "left" is the
eye with the smaller x in the image.
"""

import dataclasses

from absl import flags

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.data.pack_options import PackOptions
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class Folders(Options):
    """Where data is read and written."""

    data_dir: str = option('', "Folder in CelebAGaze's layout, with 1/, 1.txt, 0/ and 0.txt.")
    output_dir: str = option('', 'Folder for the TFRecords and their manifest.')


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(values, Folders, PackOptions)


def run(values: flags.FlagValues) -> None:
    folders, options = option_flags.read(values, Folders), option_flags.read(values, PackOptions)
    require(values, 'data_dir', 'output_dir')
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.data import packing, records

    output_dir = folders.output_dir
    manifest, written, kept = packing.pack(folders.data_dir, output_dir, options)
    for domain in records.DOMAINS:
        bad_images = sum(len(shard.left_out) for shard in manifest.shards if shard.domain == domain)
        train, test = (manifest.count(domain, split) for split in records.SPLITS)
        print(
            f'{domain.upper()}: {train} train, {test} test; '
            f'{manifest.missing[domain]} rows without an image; left out as bad: '
            f'{len(manifest.bad_rows[domain])} rows, {bad_images} images'
        )
    if any(manifest.bad_rows.values()) or any(shard.left_out for shard in manifest.shards):
        print(f'{output_dir}/{records.MANIFEST_NAME} lists what was left out.')
    if written:
        print(f'{output_dir} is complete: {written} shards written, {kept} kept.')
    else:
        print(f'{output_dir} is complete and unchanged: no shard had to be written.')
