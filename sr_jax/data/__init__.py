"""Examples, cut and batched: see `train_iterator` and `validation_batches`."""

from sr_jax.data.pipeline import TrainIterator as TrainIterator
from sr_jax.data.pipeline import train_iterator as train_iterator
from sr_jax.data.sources import open_source as open_source
from sr_jax.data.validation import validation_batches as validation_batches
from sr_jax.data.validation import validation_crops as validation_crops
