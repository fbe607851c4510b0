"""The feature network behind a perceptual loss: which one, and where its weights come from.

Its weights are given to the training step in `TrainState.variables`, but not to checkpoints. As
constants of the compiled step the 80 MB of VGG19 would lie in every executable; in checkpoints they
would lie again and again, though nothing changes them and prediction has no use for them. So
`Task.frozen` reads them when a run begins and again when it resumes: only training needs the file.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.losses import pixel
from sr_jax.losses.perceptual import Features, perceptual_loss
from sr_jax.models import vgg
from sr_jax.tasks.shared.terms import Term
from sr_jax.tasks.step import Training
from sr_jax.tasks.task import Load

DEPTHS = {'vgg16': 16, 'vgg19': 19}
RANDOM = 'random'


def _esrgan_layers() -> Mapping[str, float]:
    return {'conv5_4': 1.0}


@dataclasses.dataclass(frozen=True)
class Perceptual(Term):
    """The section `config.loss.perceptual`.

    Attributes:
      network: 'vgg16' or 'vgg19'.
      layers: the weights of its layers, by their names (see `sr_jax.models.vgg`); ESRGAN's by
        default, of VGG19.
      weights: a file of torchvision's weights (.safetensors or .pth); 'lpips-vgg16', VGG16's from
        the package index; or 'random', which draws them from a fixed seed and is for trying things
        out: such features are not of photographs.
      criterion: 'l1', 'l2' or 'charbonnier', of the features.
    """

    network: str = 'vgg19'
    layers: Mapping[str, float] = dataclasses.field(default_factory=_esrgan_layers)
    weights: str = ''
    criterion: str = 'l1'

    def __post_init__(self):
        super().__post_init__()
        pixel.find_criterion(self.criterion)
        where = 'config.loss.perceptual'
        if self.network not in DEPTHS:
            raise InputError(f'{where}.network={self.network!r}: {nearest(self.network, DEPTHS)}')
        known = [layer.name for layer in vgg.plan(DEPTHS[self.network])]
        for name in self.layers:
            if name not in known:
                raise InputError(f'{where}.layers has {name!r}: {nearest(name, known)}')
        if self.ever and not (self.layers and self.weights):
            raise InputError(
                f'{where} has a weight, so it needs `layers`, and as `weights` the file of '
                f"torchvision's {self.network}; or '{RANDOM}', only to try things out"
            )


def features(
    settings: Perceptual, params: Any, dtype: str, remat: bool
) -> Callable[[jax.Array], Features]:
    """Returns the function of images in [0, 1] that the perceptual loss takes.

    Args:
      settings: which layers of which network.
      params: from `load_frozen`.
      dtype: name of the type that is computed in.
      remat: recompute its activations in the backward pass.
    """

    def apply(images: jax.Array) -> Any:
        return _model(settings, dtype).apply({'params': params}, images)

    return jax.checkpoint(apply) if remat else apply


def compare(
    settings: Perceptual, frozen: Any, training: Training, images: jax.Array, targets: jax.Array
) -> jax.Array:
    """Returns the perceptual loss of images [n, h, w, 3] and true ones.

    Args:
      settings: which layers of which network.
      frozen: from `load_frozen`.
      training: of the generator: the type to compute in, and whether to recompute.
      images: in [0, 1].
      targets: in [0, 1].
    """
    found = features(settings, frozen, training.dtype, training.remat)
    return perceptual_loss(found, images, targets, settings.layers, settings.criterion)


def load_frozen(settings: Perceptual, load: Load, training: bool) -> Any:
    """Returns the parameters of the layers that are used: see `Task.frozen`.

    None where no weight is above 0, and without training.

    Args:
      settings: which layers of which network.
      load: loads the file of weights.
      training: whether the loss is needed.

    Raises:
      InputError: the weights cannot be read, or are of another network.
    """
    if not settings.ever or not training:
        return None
    model, images = _model(settings), jnp.zeros((1, 32, 32, 3))
    if settings.weights == RANDOM:
        return jax.jit(draw_in_loops(model.init))(jax.random.key(0), images)['params']
    used = jax.eval_shape(model.init, jax.random.key(0), images)['params']
    network = load(settings.weights)
    missing = [name for name in used if name not in network.variables.get('params', {})]
    if network.model.get('depth') != model.depth or missing:
        raise InputError(
            f'config.loss.perceptual.weights={settings.weights} are not those of {settings.network}'
        )
    return {name: network.variables['params'][name] for name in used}


def _model(settings: Perceptual, dtype: str = 'float32') -> vgg.Model:
    return vgg.Model(tuple(settings.layers), DEPTHS[settings.network], dtype)
