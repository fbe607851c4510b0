"""Real colour photographs that lie inside the scikit-image and scikit-learn wheels.

Nothing is downloaded and neither package is imported. Authors and licenses are as told by the
docstrings of `skimage.data` and by the README beside scikit-learn's images:

    image                 shows                      author, license
    astronaut.png         an astronaut's portrait    NASA, public domain
    chelsea.png           the face of a cat          Stefan van der Walt, CC0
    coffee.png            a cup on a wooden table    Rachel Michetti, CC0
    hubble_deep_field.jpg galaxies                   NASA, public domain
    ihc.png               stained tissue, enlarged   CMMI, no known copyright restrictions
    motorcycle_left.png   a motorcycle in a garage   Scharstein et al., Middlebury stereo
    motorcycle_right.png  the same, from the right     benchmark (GCPR 2014), none stated
    retina.jpg            the back of an eye         Mikael Häggström, CC0
    rocket.jpg            a rocket at dusk           SpaceX, public domain
    china.jpg             a pagoda above trees       danielbuechele (Flickr), CC BY 2.0
    flower.jpg            a dahlia                   vultilion (Flickr), CC BY 2.0

(scikit-learn's README credits both of its images to danielbuechele, but links the second one to
vultilion.) Left out is what those packages have besides: drawings, charts and grey images.
"""

import importlib.util
import pathlib

from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import IMAGE
from sr_jax.data.sources.folder import ImageFiles
from sr_jax.errors import InputError

FORM = 'photos'
FIELDS = {'hq': IMAGE}
# Both motorcycles show one scene, so they are on the same side. Validation has an animal, a still
# life, and a building with foliage.
PARTS = {
    'train': (
        'scikit-image/astronaut.png',
        'scikit-image/hubble_deep_field.jpg',
        'scikit-image/ihc.png',
        'scikit-image/motorcycle_left.png',
        'scikit-image/motorcycle_right.png',
        'scikit-image/retina.jpg',
        'scikit-image/rocket.jpg',
        'scikit-learn/flower.jpg',
    ),
    'validation': (
        'scikit-image/chelsea.png',
        'scikit-image/coffee.png',
        'scikit-learn/china.jpg',
    ),
}
_FOLDERS = {
    'scikit-image': ('skimage', 'data'),
    'scikit-learn': ('sklearn', 'datasets/images'),
}


def open_part(rest: str, part: str, settings: DataSettings) -> ImageFiles:
    """Opens the photographs: see `sr_jax.data.sources`."""
    del rest, settings
    return open_photos(part)


def open_photos(part: str) -> ImageFiles:
    """Opens the photographs of one part, 'train' or 'validation'.

    Raises `InputError` when a package or one of its images is missing.
    """
    folders = {name: find_folder(name, *_FOLDERS[name]) for name in _FOLDERS}
    paths = []
    for name in PARTS[part]:
        package, file = name.split('/')
        path = folders[package] / file
        if not path.is_file():
            raise InputError(f'{path} is missing; reinstall it with: pip install -U {package}')
        paths.append(str(path))
    return ImageFiles(paths, PARTS[part])


def find_folder(package: str, module: str, inside: str | pathlib.Path) -> pathlib.Path:
    """Returns a folder of an installed package, without importing it.

    Args:
      package: as it is installed.
      module: as it is imported.
      inside: the folder in it.

    Raises:
      InputError: it is not installed.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f'what is asked for comes with {package}, which is not installed; '
            f'install it with: pip install {package}'
        )
    return pathlib.Path(spec.submodule_search_locations[0], inside)
