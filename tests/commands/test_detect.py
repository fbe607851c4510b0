"""`sr-jax detect`: boxes drawn on images, and told; what is no detector is refused.

A network of a few lines stands in for a run's.
"""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax import __main__ as verbs
from sr_jax.commands.shared import seeing
from sr_jax.config.defaults import defaults
from sr_jax.images.boxes import draw
from sr_jax.images.files import load_image, save_image
from sr_jax.inference import networks

# The last one lies in what is mirrored beyond the lower edge.
BOXES = [[2, 3, 12, 21, 1], [5, 8, 40, 60, 0], [1, 1, 4, 5, 2], [30, 2, 50, 20, 1]]
SCORES = [0.9, 0.6, 0.2, 0.8]


def predict(variables, batch, key):
    """The same boxes in any image."""
    return {'boxes': jnp.asarray([BOXES], jnp.float32), 'scores': jnp.asarray([SCORES])}


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A function that looks for boxes in an image, by a run of a task."""
    save_image(tmp_path / 'given.png', np.full((19, 26, 3), 0.5, np.float32))

    def run(*words, task='detection'):
        config = defaults('detection', model='fcos')
        config.task, config.model.classes = task, 3
        found = types.SimpleNamespace(
            config=config, task=types.SimpleNamespace(predict=predict), variables={}
        )

        def load_run(path, best, mesh, load):
            assert load is networks.load  # of what the run predicts with beside its own
            return found

        monkeypatch.setattr(seeing, 'load_run', load_run)
        return verbs.main(['detect', 'runs/x', str(tmp_path / 'given.png'), *words])

    return run


def test_boxes_are_drawn_and_told(run, tmp_path, capsys):
    assert run('--output', str(tmp_path / 'drawn')) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith('given.png  2 boxes')
    expected = ['  class 1  0.90  3,2 to 21,12', '  class 0  0.60  8,5 to 26,19']
    assert lines[1:3] == expected
    image, boxes = load_image(tmp_path / 'given.png'), np.float32(BOXES[:2])
    boxes[:, :4] = np.minimum(boxes[:, :4], [19, 26, 19, 26])
    drawn = load_image(tmp_path / 'drawn' / 'given.png')
    np.testing.assert_array_equal(drawn, draw(image, boxes, 3, np.float32(SCORES[:2])))
    assert run('--output', str(tmp_path / 'all'), '--least-score', '0') == 0
    assert 'given.png  3 boxes' in capsys.readouterr().out


def test_a_run_that_finds_no_boxes_is_refused(run, tmp_path, capsys):
    assert run('--output', str(tmp_path / 'out'), task='vqvae') == 1
    assert "a run of the task 'vqvae', which finds no boxes" in capsys.readouterr().err
