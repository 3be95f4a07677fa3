"""python -m tools.studies.contact_errors --data=data/people --test_x=117 --test_y=176

How well eye contact is recognized by the degrees by which painting moves the gaze (`gaze_tf.editing.eye_contact`), on a
folder of `gaze-tf turn-dataset`: how often a turned face has more of them than one at the camera, and which shares of
both are below the thresholds. --test_x and --test_y take only so many of the last faces, those that were held out.
"""

import csv
import math
import pathlib

import numpy as np
from absl import app, flags

from gaze_tf.compositing.align import align_face
from gaze_tf.data import celebagaze
from gaze_tf.editing import eye_contact
from gaze_tf.inference.network import Network
from gaze_tf.media.photo import Photo


def moved(network, faces):
    """float64 [N] degrees of rows of a celebagaze.Listing."""
    found = []
    for face in faces:
        rgb = Photo.open(face.path).rgb
        frame = align_face(face.eyes, rgb.shape[1::-1], network.img_size, network.frame_eyes)
        cut = frame.cut(rgb).numpy()
        (after,) = network.correct(cut[None], frame.eyes[None])
        found.append(eye_contact.gaze_moved(cut, after, frame.eyes, network.boxes(frame.eyes)))
    return np.array(found)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    data, network = pathlib.Path(flags.FLAGS.data), Network(flags.FLAGS.model or None)
    faces = {
        domain: celebagaze.read_domain(data, domain).rows[-last:]
        for domain, last in (('x', flags.FLAGS.test_x), ('y', flags.FLAGS.test_y))
    }
    with (data / 'truth.csv').open(newline='') as file:
        angles = {
            row['name']: math.hypot(float(row['yaw_deg']), float(row['pitch_deg']))
            for row in csv.DictReader(file)
            if row['domain'] == 'Y'
        }
    x, y = (moved(network, faces[domain]) for domain in 'xy')
    far = y[[angles[face.name] >= 15 for face in faces['y']]]
    more = np.mean((y[:, None] > x) + (y[:, None] == x) / 2)
    print(f'{len(x)} faces at the camera, {len(y)} turned; a turned one has more degrees in {more:.1%} of pairs')
    for name, threshold in (('begin to be left alone', eye_contact.BELOW), ('stay so', eye_contact.ABOVE)):
        shares = [np.mean(values < threshold) for values in (x, y, far)]
        print(
            f'below {threshold:g} degrees ({name}): {shares[0]:.1%} at the camera, {shares[1]:.1%} turned, '
            f'{shares[2]:.1%} of those turned by 15 degrees and more'
        )


if __name__ == '__main__':
    flags.DEFINE_string('data', None, 'Folder of gaze-tf turn-dataset.', required=True)
    flags.DEFINE_string('model', '', 'As of gaze-tf correct.')
    flags.DEFINE_integer('test_x', 0, 'Faces at the camera, 0: all.', lower_bound=0)
    flags.DEFINE_integer('test_y', 0, 'Turned faces, 0: all.', lower_bound=0)
    app.run(main)
