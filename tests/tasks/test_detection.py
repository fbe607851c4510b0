import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from sr_jax import tasks
from sr_jax.config.defaults import defaults
from sr_jax.errors import InputError
from sr_jax.models.fcos import Findings, Places, places
from sr_jax.tasks import detection

TRUTH = np.full((2, 4, 5), -1, np.float32)
TRUTH[0, :2] = [[3, 4, 13, 20, 2], [8, 8, 12, 14, 0]]
WHERE = places(24, 30, 'small')


def test_a_place_sees_the_smallest_box_around_it():
    seen = jax.jit(detection.match, static_argnums=())(TRUTH[0], jax.tree.map(jnp.asarray, WHERE))
    seen = np.asarray(seen)
    for i, ((row, column), stride) in enumerate(zip(WHERE.centers, WHERE.strides, strict=True)):
        best = -1
        for box in (0, 1):
            top, left, bottom, right, _ = TRUTH[0, box]
            sides = np.array([row - top, column - left, bottom - row, right - column])
            middle = max(abs(row - (top + bottom) / 2), abs(column - (left + right) / 2))
            reach = (4 * stride if stride > 2 else 0, 8 * stride if stride < 32 else np.inf)
            if sides.min() > 0 and middle < 1.5 * stride and reach[0] < sides.max() < reach[1]:
                best = box
        assert seen[i] == best, i
    assert set(seen.tolist()) == {-1, 0, 1}


def test_boxes_are_as_far_as_their_sides_say():
    where = Places(np.float32([[8, 4]]), np.float32([4]))
    found = detection.place_boxes(jnp.asarray([[[1, 0.5, 2, 3.0]]]), where)
    assert found.tolist() == [[[4, 2, 16, 16]]]


def test_without_things_only_the_classes_have_a_loss():
    count = len(WHERE.centers)
    found = Findings(jnp.zeros((2, count, 3)), jnp.ones((2, count, 4)), jnp.zeros((2, count)))
    losses = jax.jit(lambda f: detection.find_losses(f, jnp.full((2, 4, 5), -1.0), WHERE))
    terms = losses(found)
    assert terms['boxes'] == terms['centeredness'] == 0
    assert terms['classes'] == pytest.approx(2 * count * 3 * 0.75 * 0.25 * np.log(2), rel=1e-5)
    gradients = jax.jit(jax.grad(lambda f: sum(losses(f).values())))(found)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradients))


def test_the_best_of_each_class_are_told():
    told = detection.BoxSettings(least_score=0.2, candidates=5, overlap=0.5, most=4)
    corners = jnp.asarray([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10.0]])
    scores = jnp.asarray([[0.9, 0.1], [0.8, 0.7], [0.3, 0.05]])
    found = jax.jit(detection.select, static_argnums=0)(told, corners, scores)
    np.testing.assert_allclose(found['scores'], [0.9, 0.7, 0.3, 0], rtol=1e-6)
    expected = [[0, 0, 10, 10, 0], [1, 0, 11, 10, 1], [30, 0, 40, 10, 0], [-1] * 5]
    np.testing.assert_array_equal(found['boxes'], expected)


def test_what_is_found_goes_to_the_metric():
    pytest.importorskip('pycocotools')
    evaluation = detection.measure_boxes(3)
    outputs = {'boxes': TRUTH[:, :3], 'scores': (TRUTH[:, :3, 4] >= 0) * np.float32(0.5)}
    rows, totals = evaluation.measure({'boxes': TRUTH}, outputs)
    assert totals == {} and len(rows[0]['boxes']) == 2 and rows[1]['truth'] == []
    assert evaluation.summarize(rows, totals)['ap'] == pytest.approx(1)


def make(**changes):
    config = tiny.shrink(defaults('detection', model='fcos'))
    return tiny.changed(config, **changes)


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        ([3, 4, 5, 9, 3], 'the class of a box is 3, but config.model.classes=3'),
        ([3, 4, 3, 9, 2], 'a box is empty'),
    ],
)
def test_a_box_that_is_none_is_named(box, message):
    task = tasks.make(make(model__classes=3))
    task.check({'boxes': TRUTH})
    wrong = TRUTH.copy()
    wrong[1, 0] = box
    with pytest.raises(InputError, match=message):
        task.check({'boxes': wrong})
    with pytest.raises(InputError, match='the boxes have no classes'):
        task.check({'boxes': TRUTH[..., :4]})


def test_another_network_is_refused():
    with pytest.raises(InputError, match="config.model.name='unet'"):
        tasks.make(tiny.shrink(defaults('detection', model='unet')))
    with pytest.raises(InputError, match='most must be from 1'):
        detection.BoxSettings(most=300)


def test_a_step_has_the_same_shapes_and_panels_are_drawn():
    config = make()
    tasks.make(config).complete(config, None)
    assert config.model.classes == 4
    task = tasks.make(config)
    batch = task.batch(4)
    state = jax.eval_shape(task.init, jax.random.key(0), batch)
    new, metrics = jax.eval_shape(task.train_step, state, batch, jax.random.key(1))
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, state)
    assert {'classes', 'boxes', 'centeredness'} <= metrics.keys()
    outputs = jax.eval_shape(task.predict, state.inference_variables(), batch, jax.random.key(2))
    assert outputs['boxes'].shape == (4, 100, 5)
    images = np.zeros((2, 24, 30, 3), np.float32)
    found = {'boxes': TRUTH, 'scores': np.float32([[0.5, 0.4, 0, 0], [0, 0, 0, 0]])}
    true, guessed = task.panels({'hq': images, 'boxes': TRUTH}, found)['samples']
    np.testing.assert_array_equal(true, guessed)  # too small for words
    assert true[0].any() and not true[1].any()
