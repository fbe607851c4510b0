import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python import array_record_module
from PIL import Image

from sr_jax.data import train_iterator
from sr_jax.data.benchmark import open_benchmark
from sr_jax.data.sources import open_source
from sr_jax.data.sources.tfds import TfdsImages
from sr_jax.errors import InputError

COLOR = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
GRAY = COLOR[..., 0]


def encode(pixels, kind='PNG'):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Returns a function that prepares a dataset in the folder of TFDS."""
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))

    def prepare(splits, feature='image', kind=None, name='tiny_images', label=np.int64, also=None):
        image = tfds.features.Image(shape=(None, None, 3))
        others = {} if also is None else {also: image}
        features = tfds.features.FeaturesDict({feature: kind or image, 'label': label, **others})
        folder = tmp_path / name / '1.0.0'
        folder.mkdir(parents=True)
        template = tfds.core.ShardedFileTemplate(
            data_dir=folder,
            dataset_name=name,
            filetype_suffix='array_record',
            template='{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}',
        )
        infos = []
        for split, images in splits.items():
            files = template.replace(split=split)
            path = str(files.sharded_filepath(shard_index=0, num_shards=1))
            writer = array_record_module.ArrayRecordWriter(path, 'group_size:1')
            for number, image in enumerate(images):
                more = {also: encode(GRAY)} if also else {}
                example = features.encode_example({feature: image, 'label': number, **more})
                writer.write(features.serialize_example(example))
            writer.close()
            infos.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=[len(images)],
                    num_bytes=1,
                    filename_template=files,
                )
            )
        tfds.folder_dataset.write_metadata(
            data_dir=folder,
            features=features,
            split_infos=infos,
            filename_template=template,
            check_data=False,  # checking would take TensorFlow
        )

    return prepare


def test_images_of_any_encoding_become_rgb(prepare):
    cmyk = io.BytesIO()
    Image.fromarray(COLOR).convert('CMYK').save(cmyk, 'JPEG')
    prepare({'train': [encode(COLOR), encode(GRAY), encode(GRAY, 'JPEG'), cmyk.getvalue()]})
    source = TfdsImages('tiny_images', 'train')
    assert len(source) == 4
    np.testing.assert_array_equal(source.pixels(0), COLOR)
    np.testing.assert_array_equal(source.pixels(1), np.repeat(GRAY[..., None], 3, axis=2))
    assert all(source[index].shape == (40, 50, 3) for index in range(4))
    assert source[0].dtype == np.float32
    assert source.name(2) == 'tiny_images/train[2]'


def test_a_pickled_copy_is_small_and_opens_the_files_anew(prepare):
    prepare({'train': [encode(COLOR)] * 20})
    source = TfdsImages('tiny_images', 'train')
    sent = pickle.dumps(source)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).pixels(7), COLOR)


@pytest.mark.parametrize('split', ['validation', 'test'])
def test_the_validation_part_is_validation_or_else_test(prepare, make_settings, split):
    prepare({'train': [encode(COLOR)] * 2, split: [encode(GRAY)] * 3})
    source = open_source('tfds:tiny_images', 'validation', make_settings())
    assert len(source) == 3
    assert source.name(0) == f'tiny_images/{split}[0]'


def test_whole_images_of_the_validation_part_to_measure_with(prepare):
    prepare({'train': [encode(GRAY)], 'test': [encode(COLOR), encode(COLOR[:9])]})
    found = open_benchmark('tfds:tiny_images')
    assert found.names == ['tiny_images/test[0]', 'tiny_images/test[1]']
    np.testing.assert_array_equal(found.hq.pixels(1), COLOR[:9])
    assert found.lq is None


def test_batches_come_and_a_broken_record_is_named(prepare, make_settings):
    prepare({'train': [encode(COLOR), b'broken', encode(GRAY)]})
    lines = []
    iterator = train_iterator(make_settings(source='tfds:tiny_images'), 16, 0, lines.append)
    assert next(iterator)['hq'].shape == (16, 8, 8, 3)
    iterator.close()
    reason = iterator.rejected['tiny_images/train[1]']
    assert lines == [f'skipped image tiny_images/train[1]: {reason}']


def test_tensorflow_is_not_imported(prepare):
    prepare({'train': [encode(COLOR)] * 2})
    code = (
        'import sys; from sr_jax.data.sources.tfds import TfdsImages; '
        'print(TfdsImages("tiny_images", "train")[0].shape, "tensorflow" in sys.modules)'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == '(40, 50, 3) False'


def test_a_dataset_that_is_not_prepared_tells_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
    with pytest.raises(InputError, match='not prepared') as caught:
        TfdsImages('imagenet2012', 'train')
    assert str(tmp_path) in str(caught.value)
    assert 'tfds build imagenet2012 --file_format=array_record' in str(caught.value)


def test_a_dataset_prepared_for_reading_in_order_is_refused(prepare, tmp_path):
    prepare({'train': [encode(COLOR)]})
    info = tmp_path / 'tiny_images' / '1.0.0' / 'dataset_info.json'
    info.write_text(info.read_text().replace('array_record', 'tfrecord'))
    with pytest.raises(InputError, match=r'not prepared for random access.*TFDS_DATA_DIR'):
        TfdsImages('tiny_images', 'train')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('imagnet2012', "did you mean 'imagenet2012'"),
        ('zzzzzzzzzzz', "no dataset 'zzzzzzzzzzz'$"),
        ('mnist:9.9.9', 'cannot be opened'),
        ('../elsewhere', 'cannot be opened'),
    ],
)
def test_an_unknown_dataset_is_an_error(tmp_path, monkeypatch, name, message):
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
    with pytest.raises(InputError, match=message):
        TfdsImages(name, 'train')


def test_classes_come_as_labels(prepare, make_settings):
    classes = tfds.features.ClassLabel(names=['cat', 'dog', 'owl'])
    prepare({'train': [encode(COLOR), encode(GRAY), encode(COLOR)]}, label=classes)
    source = pickle.loads(pickle.dumps(TfdsImages('tiny_images', 'train')))
    assert list(source.fields) == ['hq', 'label']
    assert [int(source.example(i)['label']) for i in range(3)] == [0, 1, 2]
    iterator = train_iterator(make_settings(source='tfds:tiny_images'), 7, 0)
    batch = next(iterator)
    iterator.close()
    assert batch['label'].shape == (7,) and batch['label'].dtype == np.int32


def test_of_several_images_one_is_named(prepare):
    prepare({'train': [encode(COLOR)]}, feature='hr', also='lr')
    assert TfdsImages('tiny_images@hr', 'train').pixels(0).tolist() == COLOR.tolist()
    grey = np.repeat(GRAY[..., None], 3, axis=2)
    np.testing.assert_array_equal(TfdsImages('tiny_images@lr', 'train').pixels(0), grey)
    with pytest.raises(InputError, match="has the images 'hr', 'lr': say which, as in .*@hr"):
        TfdsImages('tiny_images', 'train')
    with pytest.raises(InputError, match="and none called 'sr': say which"):
        TfdsImages('tiny_images@sr', 'train')


def test_a_missing_split_is_an_error(prepare):
    prepare({'train': [encode(COLOR)]})
    with pytest.raises(InputError, match=r"'validation' or 'test'.*data\.validation_source"):
        TfdsImages('tiny_images', 'validation')


def test_a_dataset_without_images_is_an_error(prepare):
    prepare({'train': [3]}, feature='image', kind=tfds.features.Scalar(np.int64))
    with pytest.raises(
        InputError, match="no images, but 'image', 'label'"
    ):
        TfdsImages('tiny_images', 'train')
