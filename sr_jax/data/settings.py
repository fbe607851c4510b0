"""What a config's `data` section says."""

import dataclasses

from sr_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Where images come from and how they are cut.

    Attributes:
      source: images to train on: 'photos', 'folder:<path>' or 'tfds:<name>', or true and small
        ones, 'paired:<folder of hq>:<folder of lq>'.
      validation_source: images to validate on; '' takes the validation part of `source`.
      crop_size: height and width of a crop of the true images, in pixels.
      flips: mirror half of the crops left to right.
      rotations: turn crops by a random multiple of 90 degrees.
      workers: processes that read images; 0 reads in threads of this process.
      cache_bytes: decoded images kept in memory, in bytes, by each process that reads.
      max_rejected: so many broken or too small images are skipped; one more stops training.
      validation_fraction: part of a folder held out when `validation_source` is ''.
      validation_crops: validate on at most so many crops.
    """

    source: str
    validation_source: str
    crop_size: int
    flips: bool
    rotations: bool
    workers: int
    cache_bytes: int
    max_rejected: int
    validation_fraction: float
    validation_crops: int

    def __post_init__(self) -> None:
        for name, least in (
            ('crop_size', 1),
            ('workers', 0),
            ('cache_bytes', 0),
            ('max_rejected', 0),
            ('validation_crops', 1),
        ):
            value = getattr(self, name)
            if value < least:
                raise InputError(f'config.data.{name} is {value}, but must be at least {least}')
        if not 0 < self.validation_fraction < 1:
            raise InputError(
                f'config.data.validation_fraction is {self.validation_fraction}, but must lie '
                'between 0 and 1; for other validation images set config.data.validation_source'
            )
