"""Packaging of gaze_tf: `pip install .` gives the library and the `gaze-tf` command."""

import pathlib

from setuptools import find_packages, setup

# TensorFlow 2.15, the last one for tensorflow-addons, needs Python 3.11. Newer Pythons get newer releases, with Keras 2
# from tf-keras.
OLD, NEW = "; python_version < '3.12'", "; python_version >= '3.12'"
# mediapipe 0.10.21 is the last release that contains its models, and it does not support Python 3.13; later ones need a
# file, `face_model`
WITH_MODELS, WITH_FILE = "; python_version < '3.13'", "; python_version >= '3.13'"

EXTRAS = {
    # finding faces and eyes in photos; newer releases of jax need newer ml_dtypes than TensorFlow 2.15 allows
    'faces': [
        f'mediapipe>=0.10.14,<0.10.22{WITH_MODELS}',
        f'opencv-contrib-python<4.12{WITH_MODELS}',
        f'mediapipe>=1.2,<2{WITH_FILE}',
        f'opencv-contrib-python>=4.12,<6{WITH_FILE}',
        f'jax<=0.4.34{OLD}',
        f'jaxlib<=0.4.34{OLD}',
    ],
    # HEIC photos
    'heif': ['pillow-heif>=0.18,<2'],
    'video': ['imageio-ffmpeg>=0.4.9,<0.7'],
    # virtual cameras of gaze-tf live
    'live': ['pyvirtualcam>=0.11,<0.16'],
    'serving': [
        f'tensorflow-serving-api>=2.15.1,<2.16{OLD}',
        f'tensorflow-serving-api>=2.19,<2.22{NEW}',
        'werkzeug>=3,<4',
        'waitress>=3,<4',
    ],
    # onnx 1.19 needs a newer ml_dtypes than TensorFlow 2.15 allows
    'onnx': [f'{package}{OLD}' for package in ('tf2onnx>=1.17,<1.18', 'onnx>=1.16,<1.18', 'onnxruntime>=1.17,<2')],
    # the report of gaze-tf evaluate
    'evaluation': ['scikit-image>=0.22,<0.27', 'matplotlib>=3.8,<4'],
    # gaze-tf page
    'page': ['gradio>=6.31,<7'],
    'gpu': [f'tensorflow[and-cuda]>=2.15.1,<2.16{OLD}', f'tensorflow[and-cuda]>=2.19,<2.22{NEW}'],
    # playwright drives the system's chromium, and downloads nothing
    'dev': [
        'pytest>=7.4,<10',
        'pytest-cov>=5,<8',
        'pytest-xdist>=3.7,<4',
        'playwright>=1.60,<2',
        'ruff>=0.17,<0.18',
        'mypy>=2,<3',
    ],
}

setup(
    name='gaze_tf',
    version='0.1.0',
    description='Gaze correction and gaze animation for ordinary photos, in TensorFlow 2 / Keras.',
    long_description=pathlib.Path(__file__).with_name('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    packages=find_packages(include=['gaze_tf', 'gaze_tf.*']),
    package_data={
        'gaze_tf.evaluation': ['gaze_estimator.npz'],
        'gaze_tf.evaluation.report': ['templates/*'],
        'gaze_tf.export': ['face.png'],
        'gaze_tf.page': ['paste.js', 'style.css'],
        'gaze_tf.pretrained': ['people.npz', 'people.json', 'MODEL_CARD.md'],
    },
    python_requires='>=3.11,<3.14',
    install_requires=[
        f'tensorflow>=2.15.1,<2.16{OLD}',
        f'tensorflow-addons>=0.23,<0.24{OLD}',
        f'tensorflow>=2.19,<2.22{NEW}',
        f'tf-keras>=2.19,<2.22{NEW}',
        # for tf.summary; TensorFlow 2.21 no longer requires it
        f'tensorboard>=2.19,<2.22{NEW}',
        f'numpy>=1.23.5,<2{OLD}',
        f'numpy>=1.26,<3{NEW}',
        'scipy>=1.10,<2',
        'imageio>=2.31,<3',
        'pillow>=10.1,<13',
        'absl-py>=1.4,<3',
        'tqdm>=4.65,<5',
    ],
    extras_require=EXTRAS,
    entry_points={'console_scripts': ['gaze-tf = gaze_tf.cli.main:main']},
)
