"""The rows of `generative_experiment.py`: what is trained, with which config, and from where."""

from typing import Any, NamedTuple

SIZE, SMALL = 32, 8  # sides of crops, and of what they are made of
STEPS, FURTHER = 200, 100
BREADTH = 4
GENERATOR = {'latent_size': 32, 'num_mapping': 2, 'channel_base': 512, 'channel_max': 32}
# The convolutions of the finer resolutions, whose pixels are many enough to choose.
FINE = tuple(f'{kind}_{side}/modulated/conv' for side in (16, 32) for kind in ('up', 'conv'))


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


DISCRIMINATOR = section('discriminator', {'size': SIZE, 'channel_base': 512, 'channel_max': 32})


def style(title: str, changes: dict[str, Any], start: str = '') -> Row:
    """A StyleGAN2; from another row it goes on against the same discriminator, half as long."""
    networks = {'generator': start, 'discriminator': f'{start}#discriminator'} if start else {}
    common = {
        **section('model', {'size': SIZE, **GENERATOR}),
        **DISCRIMINATOR,
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
    title: str, config: str, changes: dict[str, Any], start: dict[str, str] | None = None
) -> Row:
    """A network that enlarges four times, against a discriminator or without one."""
    common = {
        'train.steps': STEPS,
        'data.validation_crops': 256,
        'data.rotations': False,
        'evaluation.every': STEPS,
        'optimizer.learning_rate': 1e-3,
        'optimizer.schedule': 'cosine',
        'train.start_from': '',
    }
    return Row(title, config, common | changes, start or {})


def glean(title: str, adversarial: float, trained: bool = True) -> Row:
    """A GLEAN, whose generator is the trained one of the row 'dense', or one at random."""
    start = {'generator': 'dense', 'discriminator': 'dense#discriminator'} if trained else {}
    changes = {
        **section('model', {'in_size': SMALL, 'size': SIZE, **GENERATOR}),
        **DISCRIMINATOR,
        'loss.adversarial.weight': adversarial,
    }
    return enlarger(title, 'configs/glean.py', changes, start)


SWITCHED = {'model.switching.layers': FINE, 'model.switching.breadth': BREADTH}
WIDE = section('model', {'channel_base': 896, 'channel_max': 56})
HALF = {'train.steps': FURTHER}
L2 = {'loss.criterion': 'l2'}
AGAINST = {
    **HALF,
    'discriminator.size': SIZE,
    'optimizer.learning_rate': 1e-4,
    'optimizer.schedule': 'constant',
}
TABLES = {
    'style': {
        'dense': style('dense', {}),
        'wide': style('dense, of as many parameters', WIDE),
        'switched': style('switched, from scratch', SWITCHED),
        'dense_on': style('dense, trained on', {}, 'dense'),
        'converted': style('converted to switched, trained on', SWITCHED, 'dense'),
    },
    'glean': {
        'rrdb': enlarger('RRDBNet', 'configs/rrdb.py', L2),
        'glean_pixels': glean('GLEAN, no discriminator', 0.0),
        'glean_random': glean('the same, its generator at random', 0.0, trained=False),
        'rrdb_half': enlarger('RRDBNet, half as long', 'configs/rrdb.py', L2 | HALF),
        'esrgan': enlarger(
            'ESRGAN, from that', 'configs/esrgan.py', AGAINST, {'generator': 'rrdb_half'}
        ),
        'glean': glean('GLEAN', 1e-2),
    },
}
