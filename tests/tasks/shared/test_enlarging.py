import jax
import pytest
import tiny

from sr_jax import tasks
from sr_jax.config.defaults import defaults
from sr_jax.degradations.settings import BicubicSettings, PairedSettings, SecondOrderSettings
from sr_jax.errors import InputError
from sr_jax.tasks.shared.enlarging import read_degradation

BICUBIC = dict(name='bicubic', rounded=True)
KEYS_OF_ANOTHER = dict(name='paired', rounded=True)  # as --config.degradation.name=paired leaves it
SECOND_ORDER = defaults('regression', degradation='second_order').degradation.to_dict()
PAIRS = 'paired:a:b'


def config_of(degradation, source, validation=''):
    return dict(
        degradation=degradation, data=dict(source=source, validation_source=validation)
    )


@pytest.mark.parametrize(
    ('degradation', 'source', 'validation', 'kind'),
    [
        (BICUBIC, PAIRS, '', PairedSettings),
        (SECOND_ORDER, PAIRS, 'paired:c:d', PairedSettings),
        (dict(name='paired'), PAIRS, '', PairedSettings),
        (KEYS_OF_ANOTHER, PAIRS, '', PairedSettings),
        (BICUBIC, 'folder:a', 'paired:c:d', BicubicSettings),
        (SECOND_ORDER, 'photos', '', SecondOrderSettings),
    ],
)
def test_a_source_of_pairs_needs_no_degradation(degradation, source, validation, kind):
    assert isinstance(read_degradation(config_of(degradation, source, validation)), kind)


@pytest.mark.parametrize(
    ('degradation', 'source', 'validation', 'problem'),
    [
        (KEYS_OF_ANOTHER, 'photos', '', r"data\.source='photos' has no small images"),
        (BICUBIC, PAIRS, 'photos', "validation_source='photos' has no small images"),
        (dict(name='bicubic', round=True), PAIRS, '', "did you mean 'rounded'"),
        (dict(name='bicubik'), PAIRS, '', "did you mean 'bicubic'"),
        (BICUBIC, 'pair:a:b', '', 'no such data source'),
    ],
)
def test_what_cannot_be_meant_is_refused(degradation, source, validation, problem):
    with pytest.raises(InputError, match=problem):
        read_degradation(config_of(degradation, source, validation))


@pytest.mark.parametrize('make', [tiny.regression, tiny.real, tiny.gan, tiny.flow])
def test_every_task_trains_on_pairs_by_naming_them(make):
    """All that differs from a run without pairs is what is read: batches and steps follow."""
    config = make(data__source=PAIRS, data__validation_source='')
    task = tasks.make(config)
    shapes = {name: field.shape for name, field in task.batch(5).items()}
    side = config.data.crop_size // 4
    assert shapes == {'hq': (5, 4 * side, 4 * side, 3), 'lq': (5, side, side, 3)}
    state = jax.eval_shape(task.init, jax.random.key(0), task.batch(1))
    batch = {'hq': task.batch(4)['hq'], 'lq': jax.ShapeDtypeStruct((4, 3, 2, 3), 'float32')}
    with pytest.raises(InputError, match='scale=4, but of the pairs'):  # so it looks at them
        jax.eval_shape(task.train_step, state, batch, jax.random.key(0))
