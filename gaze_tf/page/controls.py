"""The sliders that say where the eyes of a photo go (another one is added here, and nowhere else), and the mark."""

from typing import Any

import gradio as gr

from gaze_tf.editing.options import LookOptions


def make_controls(reach: float) -> list[gr.Slider | gr.Checkbox]:
    """Draws the sliders, and returns them in the order of the arguments of `paint_arguments`.

    reach: of the model (see `Network`); a model that cannot be told where to look has no sliders for that.
    """
    strength = gr.Slider(0, 100, 100, step=1, label='Strength', info='0: as in the photo. 100: moved all the way.')
    apart = gr.Checkbox(False, label='Move each eye on its own')
    sides = [
        gr.Slider(0, 100, 100, step=1, label=f'Eye on the {side} of the picture', visible=False)
        for side in ('left', 'right')
    ]

    def switch(apart, strength):
        return [gr.update(visible=not apart), *[gr.update(visible=apart, value=strength)] * 2]

    apart.input(switch, [apart, strength], [strength, *sides], queue=False, show_progress='hidden')
    most = int(reach)
    directions = [
        gr.Slider(-most, most, 0, step=1, label=label, info=info, visible=reach > 0, elem_id=f'photo-{label.lower()}')
        for label, info in (
            ('Horizontal', 'Degrees from the camera. Below 0: to the left in the picture. Above: to the right.'),
            ('Vertical', 'Below 0: down. Above: up.'),
        )
    ]
    return [strength, apart, *sides, *directions]


def paint_arguments(
    strength: float, apart: bool, left: float, right: float, horizontal: float, vertical: float
) -> dict[str, Any]:
    """Values of the sliders as arguments of `GazeEditor.paint`."""
    return {
        'alpha': (left / 100, right / 100) if apart else strength / 100,
        'look': LookOptions(look=(horizontal, vertical) if horizontal or vertical else ()),
    }


def make_mark() -> gr.Checkbox:
    """Draws the box that asks for the AI mark; see `Edited.save`."""
    return gr.Checkbox(
        False,
        label='Mark the file as edited with AI',
        info='Programs and sites that know the mark show it. The picture looks the same.',
    )
