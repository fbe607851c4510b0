"""Which convolutions of a network are switched, and the conversion of a trained network.

The article on switched convolutions (neonbjb, 2021) trains in stages: a dense network first, until
it has converged; then some of its convolutions become switched ones, every kernel a copy of the
trained one, and training continues. At that moment the output is the dense network's, whatever the
new selectors choose.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util
from jaxtyping import Array, Float, Int

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.layers import batch_norm, switch_norm
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.layers.switched_conv import SwitchedConv

# Collections that the switched convolutions of a network own, beside their parameters.
COLLECTIONS = (switch_norm.COLLECTION, batch_norm.COLLECTION)
# The mutable collections of a training call: statistics for the update of those, and choices.
MUTABLE = (switch_norm.STATISTICS, batch_norm.STATISTICS, 'intermediates')
SELECTORS = 'selectors'  # in statistics: those of `selector_statistics`


@dataclasses.dataclass(frozen=True)
class Switching:
    """The section `config.model.switching`: which convolutions are switched, and how.

    Attributes:
      layers: paths of the convolutions in the network's parameters, such as 'decoder/conv'.
      breadth, network, dropout_rate, dropped, norm_size, norm_start, routing, credit, deviation,
        start, implementation: see `SwitchedConv`.
    """

    layers: tuple[str, ...] = ()
    breadth: int = 8
    network: str = 'lambda'
    dropout_rate: float = 0.0
    dropped: str = 'excluded'
    norm_size: int = 256
    norm_start: str = 'full'
    routing: str = 'hard'
    credit: str = 'advantage'
    deviation: float = 0.0
    start: str = 'convolution'
    implementation: str | None = None

    def make(self, features: int, kernel_size: int, stride: int = 1, **fields) -> SwitchedConv:
        """Makes a switched convolution of these settings; `fields` are further ones of its own."""
        settings = dataclasses.asdict(self)
        del settings['layers']
        return SwitchedConv(features, kernel_size, stride=stride, **settings, **fields)


def convolution(
    parent: nn.Module,
    switching: Switching,
    name: str,
    features: int,
    kernel_size: int,
    stride: int = 1,
    dtype: str = 'float32',
    kernel_init: nn.initializers.Initializer | None = None,
    use_bias: bool = True,
) -> nn.Module:
    """Makes the convolution `name` of a module: a `SwitchedConv` where `switching` says so.

    Either is called as module(x, train). To be used in a compact method of `parent`.

    Args:
      parent: the module that it is a part of.
      switching: which convolutions are switched, and how.
      name: of the convolution in its parent.
      features: channels of the output.
      kernel_size: taps along each side.
      stride: step along each side.
      dtype: name of the type computed in.
      kernel_init: initializer of the kernel, or None.
      use_bias: whether there is a bias.
    """
    fields: dict[str, Any] = {'dtype': dtype, 'kernel_init': kernel_init, 'name': name}
    fields['use_bias'] = use_bias
    if '/'.join((*parent.path, name)) in switching.layers:
        return switching.make(features, kernel_size, stride, **fields)
    return Convolution(features, kernel_size, stride, **fields)


def settings_of(model: nn.Module) -> Switching | None:
    """Returns which convolutions of a network are switched; None where none is, or can be."""
    found = getattr(model, 'switching', None)
    return found if isinstance(found, Switching) and found.layers else None


def check_layers(params: Mapping[str, Any], switching: Switching) -> None:
    """Raises InputError unless every layer of `switching` is a switched one in the parameters."""
    flat = traverse_util.flatten_dict(params, sep='/')
    kernels = {name.removesuffix('/kernel') for name in flat if name.endswith('/kernel')}
    switched = {name for name in kernels if flat[f'{name}/kernel'].ndim == 5}
    for layer in switching.layers:
        if layer not in switched:
            valid = (switched | set(_find_convertible(flat))) - {layer}
            raise InputError(
                f'config.model.switching.layers: {layer!r} is no convolution of this network that '
                f'can be switched: {nearest(layer, valid)}'
            )


def convert_to_switched(
    variables: Mapping[str, Any], switching: Switching, rng: Array
) -> dict[str, Any]:
    """Returns the variables of a trained dense network, some of its convolutions switched.

    A dense kernel [k, k, in, out] is copied to every kernel of [b, k, k, in, out], or becomes the
    one that they share and deviate from (`switching.deviation`); the bias stays.
    Selectors and the buffers of switch norms are new. The network that they fit is the same one
    with these layers made by `convolution` (or any other whose `SwitchedConv` bears the name of
    the dense layer, flax's `nn.Conv` included); its output is the dense network's up to the order
    in which sums are taken.

    Args:
      variables: {'params': ..., and other collections}.
      switching: the layers by their paths in params, and what they become.
      rng: for the start of the selectors.

    Raises:
      InputError: a layer that does not exist, or is not a convolution of an odd, square kernel.
    """
    flat = traverse_util.flatten_dict(variables['params'], sep='/')
    convertible = _find_convertible(flat)
    collections: dict[str, dict[str, Any]] = {}
    for number, layer in enumerate(switching.layers):
        if layer not in convertible:
            raise InputError(f'{layer!r} cannot be switched: {nearest(layer, convertible)}')
        kernel, bias = flat.pop(f'{layer}/kernel'), flat.pop(f'{layer}/bias', None)
        taps, _, channels, features = kernel.shape
        module = switching.make(features, taps, use_bias=bias is not None)
        image = jnp.zeros((1, 8, 8, channels), jnp.float32)
        fresh = dict(jax.jit(draw_in_loops(module.init))(jax.random.fold_in(rng, number), image))
        params = fresh.pop('params')
        if switching.deviation:
            trained = {'shared': kernel}
        else:
            trained = {'kernel': jnp.broadcast_to(kernel, params['kernel'].shape)}
        params |= trained | ({} if bias is None else {'bias': bias})
        flat |= traverse_util.flatten_dict({layer: params}, sep='/')
        for collection in COLLECTIONS:
            if collection in fresh:
                collections.setdefault(collection, {})[layer] = fresh[collection]
    new = dict(variables) | {'params': traverse_util.unflatten_dict(flat, sep='/')}
    for collection, added in collections.items():
        old = traverse_util.flatten_dict(new.get(collection, {}), sep='/')
        old |= traverse_util.flatten_dict(added, sep='/')
        new[collection] = traverse_util.unflatten_dict(old, sep='/')
    return new


def _find_convertible(flat: Mapping[str, Array]) -> list[str]:
    """Returns the paths of the dense convolutions of odd, square kernels among flat parameters."""
    return [
        name.removesuffix('/kernel')
        for name, value in flat.items()
        if name.endswith('/kernel')
        and value.ndim == 4
        and value.shape[0] == value.shape[1]
        and value.shape[0] % 2
        and not {'selector', 'norm'} & set(name.split('/'))
    ]


class Choices(NamedTuple):
    """What the switched convolution `layer` chose: `choice` and `probabilities`."""

    layer: str
    choice: Int[Array, 'n h w']
    probabilities: Float[Array, 'n h w b']


def choices(intermediates: Mapping[str, Any]) -> Iterator[Choices]:
    """Returns the choices in a collection 'intermediates', in the order of the layers' paths."""
    flat = traverse_util.flatten_dict(dict(intermediates), sep='/')
    for name in sorted(flat):
        layer, _, kind = name.rpartition('/')
        if kind == 'choice' and f'{layer}/probabilities' in flat:
            yield Choices(layer, flat[name][-1], flat[f'{layer}/probabilities'][-1])


def choices_by_layer(intermediates: Mapping[str, Any]) -> dict[str, Int[Array, 'n h w']]:
    """Returns the choices in a collection 'intermediates', by the paths of the layers."""
    return {layer: choice for layer, choice, _ in choices(intermediates)}


class SelectorStatistics(NamedTuple):
    """Sums over the pixels of a batch: their number, how many chose each kernel, and the entropy
    of their probabilities in nats."""

    pixels: Float[Array, '']
    chosen: Float[Array, 'b']
    entropy: Float[Array, '']


def selector_statistics(intermediates: Mapping[str, Any]) -> dict[str, SelectorStatistics]:
    """Returns the statistics of every switched convolution by its path; two batches' add up."""
    found = {}
    for layer, choice, probabilities in choices(intermediates):
        breadth = probabilities.shape[-1]
        chosen = jax.nn.one_hot(choice, breadth).sum(axis=tuple(range(choice.ndim)))
        entropy = jax.scipy.special.entr(probabilities).sum()
        statistics = SelectorStatistics(jnp.float32(choice.size), chosen, entropy)
        found[layer] = jax.lax.stop_gradient(statistics)
    return found


def collect_statistics(mutated: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a training call left in `MUTABLE`, as statistics for `merge` and `update`."""
    kept = {k: mutated[k] for k in (switch_norm.STATISTICS, batch_norm.STATISTICS) if k in mutated}
    return {**kept, SELECTORS: selector_statistics(mutated.get('intermediates', {}))}


def merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Merges the `collect_statistics` of two microbatches."""
    merges = {batch_norm.STATISTICS: batch_norm.merge_statistics}
    return {k: merges.get(k, switch_norm.merge_statistics)(first[k], second[k]) for k in first}


def update(variables: Mapping[str, Any], statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the collections of a network that change with its `collect_statistics`, changed."""
    changed = {}
    for collection, name, change in (
        (switch_norm.COLLECTION, switch_norm.STATISTICS, switch_norm.update_switch_norms),
        (batch_norm.COLLECTION, batch_norm.STATISTICS, batch_norm.update_batch_norms),
    ):
        if name in statistics:
            changed[collection] = change(variables[collection], statistics[name])
    return changed


def shares(collection: Mapping[str, Any]) -> dict[str, Float[Array, '*stack b']]:
    """Returns the share of each kernel over the rows so far in the buffer of each switch norm.

    Zeros where there is no row yet. By the paths of the switched convolutions; of those that
    `nn.scan` or `nn.vmap` has stacked, [..., b].
    """
    flat = traverse_util.flatten_dict(dict(collection), sep='/')
    found = {}
    for name in sorted(flat):
        if name.endswith('/norm/buffer'):
            total = flat[name].sum(axis=-2)
            uses = jnp.maximum(total.sum(axis=-1, keepdims=True), 1e-30)
            found[name.removesuffix('/norm/buffer')] = total / uses
    return found
