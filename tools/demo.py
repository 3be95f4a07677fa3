"""python -m tools.demo --output_dir=runs/demo

Shows what gaze_tf does, in a minute, on a portrait and with the model that comes with it: it turns the eyes away,
corrects and animates them. Each stage runs a gaze-tf command. index.html shows the photos before and after.
"""

import os
import pathlib
import subprocess
import sys

from absl import app, flags
from PIL import Image, ImageDraw

from gaze_tf.files import new_file, write_text

# for TensorFlow in every stage: its start-up messages bury the progress
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

ROOT = pathlib.Path(__file__).resolve().parents[1]
PORTRAIT = ROOT / 'tests' / 'data' / 'portrait.png'
AROUND_EYES = 100, 80, 200, 125  # x0, y0, x1, y1 in pixels of the portrait
YAW = 20  # degrees by which the eyes are turned

PHOTOS = {
    'original.png': 'As it was taken',
    'turned.png': 'Before: eyes turned away',
    'corrected.png': 'After: corrected',
}
STRIP, ANIMATION, PAGE = 'strip.png', 'animated.gif', 'index.html'
_WIDTH, _HEADER = 600, 26  # of the strip, and of a label in it, in pixels

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>gaze_tf: demo</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222; }}
.photos {{ display: flex; flex-wrap: wrap; gap: 1em; }} .photos figure {{ flex: 1 1 220px; max-width: 460px; }}
figure {{ margin: 0 0 1em; }} figcaption {{ font-weight: 600; }} img {{ width: 100%; height: auto; display: block; }}
code {{ background: #f5f5f5; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>Eyes that look at the camera</h1>
<p>The eyes of this portrait were turned {yaw} degrees to the side with <code>gaze-tf turn</code>. From that picture
alone, <code>gaze-tf correct</code> painted eyes that look at the camera, and <code>gaze-tf animate</code> moved them
there and back. Outside the eyes no pixel of a corrected photo changes.</p>
<h2>Before and after</h2>
<div class="photos">
{photos}
</div>
<h2>The eyes, enlarged</h2>
<figure><img src="{strip}" alt="The eyes of the three photos, enlarged"></figure>
<h2>Animated</h2>
<div class="photos">
<figure><img src="{animation}" alt="The eyes move to the camera and back"><figcaption>From where they looked to the
camera, and back</figcaption></figure>
</div>
<h2>Limits</h2>
<p>The model learned from formal portraits, mostly of older men in even light, and paints worse eyes for other people
and photos. What it paints is a drawing and no evidence of where somebody looked. Edit only people who agreed to it, and
tell viewers.</p>
<p>On a photo of your own: <code>gaze-tf correct --input=photo.jpg --output=corrected.jpg</code></p>
<p><small>Portrait: Eileen Collins, NASA, public domain.</small></p>
</body>
</html>
"""


def stages(out: pathlib.Path) -> list[tuple[str, list[str]]]:
    """The (headline, command line) of each stage."""
    gaze_tf = [sys.executable, '-m', 'gaze_tf.cli.main']
    turned = f'{out}/turned.png'
    return [
        (
            'Turning the eyes of a portrait away',
            [*gaze_tf, 'turn', f'--input={PORTRAIT}', f'--output={turned}', f'--yaw={YAW}', '--pitch=0'],
        ),
        ('Correcting them', [*gaze_tf, 'correct', f'--input={turned}', f'--output={out}/corrected.png']),
        ('Animating them', [*gaze_tf, 'animate', f'--input={turned}', f'--output={out}/{ANIMATION}']),
    ]


def run(out: pathlib.Path) -> int:
    """Runs every stage, then writes the strip and the page. Returns the first exit status that is not 0, or 0."""
    plan = stages(out)
    for number, (headline, command) in enumerate(plan, 1):
        print(f'\n[{number}/{len(plan)}] {headline}', flush=True)
        status = subprocess.run(command).returncode
        if status:
            print(f'The demo stopped in stage {number} ({headline}): its message is above.', file=sys.stderr)
            return status
    with new_file(out / 'original.png') as file:
        file.write(PORTRAIT.read_bytes())
    with new_file(out / STRIP) as file:
        strip(out).save(file, 'PNG')
    write_text(out / PAGE, page())
    print(f"""
Look at
  {out}/{PAGE}      first: before and after, with the animation
  {out}/{STRIP}       the eyes of all three photos, enlarged
  {out}/turned.png, {out}/corrected.png, {out}/{ANIMATION}
On a photo of your own: gaze-tf correct --input=photo.jpg --output=corrected.jpg""")
    return 0


def strip(out: pathlib.Path) -> Image.Image:
    """The enlarged eyes of PHOTOS, one below the other under their labels."""
    x0, y0, x1, y1 = AROUND_EYES
    height = _WIDTH * (y1 - y0) // (x1 - x0)
    image = Image.new('RGB', (_WIDTH, (_HEADER + height) * len(PHOTOS)), 'white')
    pen = ImageDraw.Draw(image)
    for row, (name, label) in enumerate(PHOTOS.items()):
        with Image.open(out / name) as photo:
            eyes = photo.convert('RGB').crop(AROUND_EYES)
        top = (_HEADER + height) * row
        image.paste(eyes.resize((_WIDTH, height), Image.Resampling.LANCZOS), (0, top + _HEADER))
        pen.text((2, top + 3), label, fill='black', font_size=18)
    return image


def page() -> str:
    """The text of index.html."""
    photos = '\n'.join(
        f'<figure><img src="{name}" alt="{label}"><figcaption>{label}</figcaption></figure>'
        for name, label in PHOTOS.items()
    )
    return _PAGE.format(yaw=YAW, photos=photos, strip=STRIP, animation=ANIMATION)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    out = pathlib.Path(flags.FLAGS.output_dir)
    out.mkdir(parents=True, exist_ok=True)
    sys.exit(run(out))


if __name__ == '__main__':
    flags.DEFINE_string('output_dir', 'runs/demo', 'Folder for everything that the demo writes.')
    app.run(main)
