import json
import os

import ml_collections
import pytest

from sr_jax.checkpoints import metadata
from sr_jax.checkpoints.metadata import Record

CONFIG = ml_collections.ConfigDict({'model': {'name': 'rrdb', 'num_blocks': 2, 'sides': (3, 4)}})
DATA = {'crops_taken': 3, 'rejected': {}, 'made_from': {}}


def save(**changes):
    made = json.loads(json.dumps(metadata.serialize(Record(CONFIG, DATA, [1, 2, 3]))))
    changed = {key: value for key, value in made.items() if key != 'checksum'} | changes
    return {**changed, 'checksum': metadata._checksum(changed)}


def test_what_is_written_is_read():
    config, data, fingerprints = metadata.read(save())
    assert config.to_dict() == CONFIG.to_dict()
    assert (data, fingerprints) == (DATA, [1, 2, 3])
    assert metadata.read(save(data=None)).data is None


@pytest.mark.parametrize('number', [1, 3])
def test_what_another_version_saved_is_no_damage(number):
    with pytest.raises(metadata.OtherFormat, match=f'its format is {number}, this version'):
        metadata.read(save(format=number))
    first = {key: value for key, value in save().items() if key not in ('format', 'checksum')}
    with pytest.raises(metadata.OtherFormat, match='made by another version'):
        metadata.read({**first, 'checksum': metadata._checksum(first)})
    with pytest.raises(metadata.OtherFormat, match='made by another version'):
        metadata.read(first)  # the oldest had no checksum
    with pytest.raises(ValueError, match='not what was saved'):
        metadata.read({**first, 'chedksum': 'x'})


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(config='{'), 'config cannot be read: JSONDecodeError'),
        (dict(config='[1]'), 'config cannot be read'),
        (dict(config=3), 'config cannot be read: TypeError'),
        (dict(config='[' * 10**5), 'config cannot be read: RecursionError'),
        (
            dict(config='{"model": {"a": {"name": "rrdb", "num_blocks": 4}}}'),
            'model.a.num_blocks is 4, of 3 arr',
        ),
        (
            dict(config='{"encoder": {"name": "switched_sr", "num_layers": 9}}'),
            'config.encoder.num_layers is 9',
        ),
        (dict(data=[1]), "data's position is no object"),
        (dict(fingerprint={'a': 1}), 'fingerprints are no list'),
        (dict(fingerprint=[1, True]), 'fingerprints are no list'),
        (dict(more=1), 'something else than a config'),
    ],
)
def test_what_nobody_can_have_saved_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        metadata.read(save(**changes))


@pytest.mark.parametrize('name', ['rrdbb', 'protocols', 'srvgg', ['rrdb'], None, 3])
def test_only_fields_that_the_network_repeats_are_looked_at(name):
    config = {'model': {'name': name, 'num_blocks': 10}, 'train': {'num_blocks': 10}}
    assert metadata.read(save(config=json.dumps(config))).config.model.num_blocks == 10


def test_a_changed_record_is_noticed():
    with pytest.raises(ValueError, match='are not what was saved'):
        metadata.read({**save(), 'data': {**DATA, 'crops_taken': 4}})
    with pytest.raises(ValueError, match='no object of JSON'):
        metadata.read([save()])


@pytest.mark.parametrize('text', ['[1]', '{"mse": "0.5"}', '{"mse": true}', '{', '[' * 10**5, ''])
def test_metrics_are_numbers_by_name(text, tmp_path):
    path = tmp_path / 'metrics'
    path.write_text(text)
    with pytest.raises(ValueError, match='.'):
        metadata.read_metrics(path)
    path.write_text('{"mse": 0.5, "images": 3}')
    assert metadata.read_metrics(path) == {'mse': 0.5, 'images': 3}


def test_files_that_would_fill_the_memory_or_never_end_are_not_read(tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'state' / 'd').mkdir(parents=True)
    with open(tmp_path / 'state' / 'd' / 'arrays', 'wb') as file:
        file.truncate(2 * metadata.LARGEST)
    metadata.check_files(tmp_path)
    path = tmp_path / 'run' / 'metadata'
    with open(path, 'wb') as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match='metadata has 1048576 MiB, more than the 64 MiB'):
        metadata.check_files(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match='metadata is not a file'):
        metadata.check_files(tmp_path)
