import dataclasses

import ml_collections
import pytest

from sr_jax import tasks
from sr_jax.config.defaults import SHARED, check_variant, chosen_names, completed, defaults
from sr_jax.errors import InputError
from sr_jax.training.settings import read_settings

NAMES = {
    'regression': {'model': 'switched_sr'},
    'gan': {'model': 'rrdb', 'discriminator': 'discriminators'},
    'vqvae': {'model': 'vqvae'},
    'flow': {'model': 'srflow'},
}


@pytest.mark.parametrize('task', NAMES)
def test_the_defaults_of_a_task_are_complete(task):
    config = defaults(task, **NAMES[task])
    assert chosen_names(config).items() >= NAMES[task].items()
    assert defaults(task, **chosen_names(config)) == config
    if task == 'gan':
        config.discriminator.size = config.data.crop_size
    read_settings(config)
    tasks.make(config)
    for section, kind in SHARED.items():
        assert set(config[section]) == {field.name for field in dataclasses.fields(kind)}


def test_a_network_has_the_fields_of_its_module_but_for_those_that_others_say():
    model = defaults('regression', model='rrdb').model
    assert (model.name, model.features, model.num_blocks) == ('rrdb', 64, 23)
    assert model.switching.layers == ()
    assert not {'dtype', 'remat', 'patch', 'parent'} & set(model)


def test_a_section_of_several_kinds_is_chosen_by_name():
    assert defaults('regression', model='rrdb').degradation.name == 'bicubic'
    config = defaults('regression', model='rrdb', degradation='second_order')
    assert config.degradation.second.blur_prob == 0.8
    assert config.degradation.first.blur_prob == 1.0


def test_a_discriminator_is_left_out_where_none_is_named():
    config = defaults('gan', model='rrdb')
    assert 'discriminator' not in config
    tasks.make(config)


def test_a_key_that_is_not_there_cannot_be_set():
    config = defaults('vqvae', model='vqvae').lock()  # as the command line does
    with pytest.raises(AttributeError, match='Did you mean "batch_size"'):
        config.train.batchsize = 3
    with pytest.raises(TypeError):
        config.train.batch_size = 'many'


@pytest.mark.parametrize(
    ('task', 'names', 'message'),
    [
        ('vqvea', {}, "config.task='vqvea' is unknown: did you mean 'vqvae'"),
        ('terms', {}, "config.task='terms' is unknown: valid: .*regression, .*vqvae"),
        ('shared', {}, "config.task='shared' is unknown: valid: .*gan"),
        ('gan', {'model': 'rdb'}, "config.model.name='rdb' is unknown: did you mean 'rrdb'"),
        ('gan', {'degradation': 'bicubc'}, "config.degradation.name='bicubc': did you mean 'bic"),
    ],
)
def test_a_name_that_is_not_known_is_one_line(task, names, message):
    with pytest.raises(InputError, match=message) as error:
        defaults(task, **names)
    assert '\n' not in str(error.value)


def test_a_variant_that_is_not_there_is_named_with_the_config():
    check_variant('demo', ('photos', 'demo'), 'configs/vqvae.py')
    with pytest.raises(InputError, match="no variant 'dmo' of vqvae; valid: photos, demo"):
        check_variant('dmo', ('photos', 'demo'), 'configs/vqvae.py')


def test_every_call_gives_a_config_of_its_own():
    first, second = (defaults('vqvae', model='vqvae') for _ in range(2))
    first.train.steps = 3
    assert isinstance(first, ml_collections.ConfigDict)
    assert second.train.steps != 3


def test_a_table_of_a_saved_config_is_whole():
    config = defaults('gan', model='rrdb', discriminator='discriminators')
    config.loss.perceptual.layers = {'relu3_3': 0.5}
    del config.loss.perceptual.criterion
    found = completed(config).loss.perceptual
    assert found.layers.to_dict() == {'relu3_3': 0.5}
    assert found.criterion == 'l1'
