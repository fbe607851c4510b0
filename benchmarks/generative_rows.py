"""The rows of `generative_experiment.py`: what is trained, with which config, and from where."""

from typing import Any, NamedTuple

STEPS, FURTHER = 200, 100
BREADTH = 4
L2 = {'loss.criterion': 'l2'}
HALF = {'train.steps': FURTHER}


class Row(NamedTuple):
    """A line of a table.

    Attributes:
      title: what it says there.
      config: that it is trained with.
      changes: of the config's keys.
      start: rows that it begins with, by the network or the part of one that does; after a '#' the
        network of the row that is meant.
    """

    title: str
    config: str
    changes: dict[str, Any]
    start: dict[str, str] = {}  # noqa: RUF012


def section(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The keys of a section of a config."""
    return {f'{name}.{key}': value for key, value in values.items()}


def tables(size: int = 32) -> dict[str, dict[str, Row]]:
    """The rows of each table by their names, for crops of so many pixels a side."""
    return {'style': style_rows(size), 'glean': glean_rows(size)}


def style_rows(size: int) -> dict[str, Row]:
    """StyleGAN2, dense and switched in the convolutions of its two finest resolutions."""
    finest = (size // 2, size)  # whose pixels are many enough to choose
    layers = [f'{kind}_{side}/modulated/conv' for side in finest for kind in ('up', 'conv')]
    switched = {'model.switching.layers': tuple(layers), 'model.switching.breadth': BREADTH}
    wide = section('model', channels(size, 1.75))
    return {
        'dense': style(size, 'dense', {}),
        'wide': style(size, 'dense, of as many parameters', wide),
        'switched': style(size, 'switched, from scratch', switched),
        'dense_on': style(size, 'dense, trained on', {}, 'dense'),
        'converted': style(size, 'converted to switched, trained on', switched, 'dense'),
    }


def glean_rows(size: int) -> dict[str, Row]:
    """GLEAN with the generators of 'style', RRDBNet and ESRGAN, all four times."""
    against = {
        **HALF,
        'discriminator.size': size,
        'optimizer.learning_rate': 1e-4,
        'optimizer.schedule': 'constant',
    }
    return {
        'rrdb': enlarger(size, 'RRDBNet', 'configs/rrdb.py', L2),
        'glean_pixels': glean(size, 'GLEAN, no discriminator', 0.0),
        'glean_random': glean(size, 'the same, its generator at random', 0.0, trained=False),
        'rrdb_half': enlarger(size, 'RRDBNet, half as long', 'configs/rrdb.py', L2 | HALF),
        'esrgan': enlarger(
            size, 'ESRGAN, from that', 'configs/esrgan.py', against, {'generator': 'rrdb_half'}
        ),
        'glean': glean(size, 'GLEAN', 1e-2),
    }


def channels(size: int, times: float = 1.0) -> dict[str, int]:
    """Widths: 32 channels, of the finest resolution 16, or so many times as many."""
    return {'channel_base': int(16 * size * times), 'channel_max': int(32 * times)}


def generator(size: int) -> dict[str, Any]:
    """A small generator of StyleGAN2."""
    return {'size': size, 'latent_size': 32, 'num_mapping': 2, **channels(size)}


def discriminator(size: int) -> dict[str, Any]:
    """The keys of a small discriminator."""
    return section('discriminator', {'size': size, **channels(size)})


def style(size: int, title: str, changes: dict[str, Any], start: str = '') -> Row:
    """A StyleGAN2; from another row it goes on against the same discriminator, half as long."""
    networks = {'generator': start, 'discriminator': f'{start}#discriminator'} if start else {}
    common = {
        **section('model', generator(size)),
        **discriminator(size),
        'data.crop_size': size,
        'train.steps': FURTHER if start else STEPS,
        'augmentation.target': 0.0,
        # So short a run needs a longer average at its beginning, or its distances swing with it.
        'average.images': 1000,
        'average.rampup': 0.3,
        'features.weights': 'lpips-vgg16',
        'data.validation_crops': 256,
        'evaluation.every': FURTHER if start else STEPS // 2,
    }
    return Row(title, 'configs/stylegan2.py', common | changes, networks)


def enlarger(
    size: int, title: str, config: str, changes: dict[str, Any], start: dict[str, str] | None = None
) -> Row:
    """A network that enlarges four times, against a discriminator or without one."""
    common = {
        'data.crop_size': size,
        'train.steps': STEPS,
        'data.validation_crops': 256,
        'data.rotations': False,
        'evaluation.every': STEPS,
        'optimizer.learning_rate': 1e-3,
        'optimizer.schedule': 'cosine',
        'train.start_from': '',
    }
    return Row(title, config, common | changes, start or {})


def glean(size: int, title: str, adversarial: float, trained: bool = True) -> Row:
    """A GLEAN, whose generator is the trained one of the row 'dense', or one at random."""
    start = {'generator': 'dense', 'discriminator': 'dense#discriminator'} if trained else {}
    changes = {
        **section('model', {'in_size': size // 4, **generator(size)}),
        **discriminator(size),
        'loss.adversarial.weight': adversarial,
    }
    return enlarger(size, title, 'configs/glean.py', changes, start)
