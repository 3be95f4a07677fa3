# gaze-tf for training and editing on CPUs; run it with the folder of your photos, which becomes the folder it works in:
#   docker build -t gaze-tf .
#   docker run --rm --user $(id -u):$(id -g) -v "$PWD:/work" gaze-tf correct --input=photo.jpg --output=corrected.jpg
FROM python:3.11-slim

# what OpenCV and mediapipe need and slim images lack; on Debian 13, libglib2.0-0 stands for libglib2.0-0t64
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /source
COPY setup.py pyproject.toml README.md ./
COPY constraints constraints
COPY gaze_tf gaze_tf
RUN pip install --no-cache-dir -c constraints/py311.txt '.[faces,video,heif,serving,evaluation]' \
    && rm -rf /source/build
# a missing system library should show here
RUN HOME=/tmp python -c 'from gaze_tf.inference.detectors import make_detector; make_detector()'

# matplotlib and others keep files in the home folder, which a user that only has a number lacks
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["gaze-tf"]
CMD ["--help"]
