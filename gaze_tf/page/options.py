"""The options of `gaze-tf page`."""

import dataclasses

from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class PageOptions(Options):
    """Where the page is."""

    host: str = option(
        '127.0.0.1',
        'The address to listen on. By default only this computer can open the page. 0.0.0.0 lets everybody in who '
        'reaches this computer: there is no password and no encryption.',
        affects='files',
    )
    port: int = option(0, 'The port to listen on; 0: the first free one from 7860 on.', low=0, high=65_535)
    browser: bool = option(True, 'Open the page in the browser.')
