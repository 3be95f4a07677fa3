"""What a training run is asked to do."""

import dataclasses
import pathlib

from gaze_tf.config import (
    GROUPS,
    AugmentConfig,
    DataConfig,
    EncoderConfig,
    GanConfig,
    ModelConfig,
    PamConfig,
    RunConfig,
)
from gaze_tf.options import Options


@dataclasses.dataclass(frozen=True)
class TrainingJob:
    """The configurations of one run of a stage: pretraining (PAM) or training (GCM and GAM).

    Attributes:
      networks: shapes of the networks: those of E_c alone for PAM, a ModelConfig for GCM and GAM.
      stage: steps, optimizers and loss weights.
      data, augment: the training images, and random changes of them.
      run: files, devices and compilation.
    """

    networks: EncoderConfig | ModelConfig
    stage: PamConfig | GanConfig
    data: DataConfig
    augment: AugmentConfig
    run: RunConfig

    @property
    def directory(self) -> pathlib.Path:
        """The folder of the run."""
        return pathlib.Path(self.run.output_dir)

    @property
    def groups(self) -> dict[str, Options]:
        """The configurations by the names that they have in config.json."""
        names = {cls: name for name, cls in GROUPS.items()}
        return {names[type(part)]: part for part in (self.networks, self.stage, self.data, self.augment, self.run)}
