"""Published weights against the programs that they were published for.

These need the extra `ncnn`, without which they are skipped, and the first time the package index.
"""

import numpy as np
import pytest

from sr_jax.data.sources.photos import open_photos
from sr_jax.inference import networks, upscaler
from sr_jax.pretrained import named

IMAGES = 4
SIDE = 40  # pixels of an image given


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', ['realesrgan-x4plus', 'realesrgan-x4plus-anime', 'realesr-animevideov3']
)
def test_the_same_as_ncnn_makes_of_the_same_weights(name):
    ncnn = pytest.importorskip('ncnn')
    param, weights = named.find(name)
    net = ncnn.Net()
    for half in ('fp16_packed', 'fp16_storage', 'fp16_arithmetic', 'bf16_storage'):
        setattr(net.opt, f'use_{half}', False)
    net.load_param(str(param))
    net.load_model(str(weights))
    enlarge = upscaler.Upscaler(networks.load(name))
    photos = open_photos('train')
    for i in range(IMAGES):
        image = photos[i][100 : 100 + SIDE, 50 : 50 + SIDE]
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))  # ncnn only points to them
        with net.create_extractor() as extractor:
            extractor.input('data', ncnn.Mat(planes))
            theirs = np.array(extractor.extract('output')[1]).transpose(1, 2, 0)
        np.testing.assert_allclose(enlarge(image), np.clip(theirs, 0, 1), atol=1e-4)
