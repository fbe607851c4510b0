"""MUSIQ against pyiqa, at weights at random."""

import json

import foreign_networks
import jax
import numpy as np
import pytest
import seeded
from parity import assert_exact

from sr_jax import models
from sr_jax.metrics.musiq import Musiq
from sr_jax.pretrained import recognition


def recognized(golden, classes):
    shapes = json.loads(str(golden('metric_musiq')[f'shapes_{classes}/json']))
    state = foreign_networks.draw(shapes)
    return state, recognition.recognize(state, 'musiq.pth')


@pytest.mark.parametrize(
    ('classes', 'image'), [(1, 1), pytest.param(5, 0, marks=pytest.mark.slow)]
)
def test_it_agrees_with_pyiqa(golden, classes, image):
    _, found = recognized(golden, classes)
    sizes = {'features': 12, 'num_layers': 2, 'hidden': 7, 'grid': 4, 'classes': classes}
    assert found.model == {'name': 'musiq', **sizes}
    metric = Musiq(models.make(found.model), found.variables)
    seed, *size = ((10, 45, 70), (11, 300, 410))[image]
    rating = metric(seeded.images(seed, 1, *size)[0] / np.float32(255))
    wanted = golden('metric_musiq')[f'out/ratings_{classes}'][image]
    np.testing.assert_allclose(rating, wanted, rtol=1e-4)


@pytest.mark.parametrize('classes', [1, 5])
def test_files_come_back(golden, classes):
    state, found = recognized(golden, classes)
    module = models.make(found.model)
    written = recognition.foreign_names('musiq', module, found.variables, 'musiq.pth')
    assert written.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(written[name], value, err_msg=name)


def test_products_are_not_rounded_on_gpus(golden):
    _, found = recognized(golden, 1)
    metric = Musiq(models.make(found.model), found.variables)
    images = jax.ShapeDtypeStruct((1, 45, 70, 3), np.float32)
    assert_exact(metric._rate.lower(found.variables, images).as_text())
