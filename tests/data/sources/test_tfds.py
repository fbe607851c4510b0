import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python import array_record_module
from PIL import Image

from sr_jax.data import annotations, train_iterator
from sr_jax.data.benchmark import open_benchmark
from sr_jax.data.sources import open_source
from sr_jax.data.sources.tfds import TfdsImages
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError

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
        features = {feature: kind or image, 'label': label, **others}
        more = {also: encode(GRAY)} if also else {}
        write(
            tmp_path,
            name,
            features,
            {
                split: [{feature: x, 'label': i, **more} for i, x in enumerate(images)]
                for split, images in splits.items()
            },
        )

    return prepare


@pytest.fixture
def write_set(tmp_path, monkeypatch):
    """Returns a function that writes the examples of the set 'tiny_images', to train on."""
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
    return lambda features, rows: write(tmp_path, 'tiny_images', features, {'train': rows})


def write(root, name, features, splits):
    """Writes a dataset of examples by split, as TFDS does."""
    features = tfds.features.FeaturesDict(features)
    folder = root / name / '1.0.0'
    folder.mkdir(parents=True)
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder,
        dataset_name=name,
        filetype_suffix='array_record',
        template='{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}',
    )
    infos = []
    for split, rows in splits.items():
        files = template.replace(split=split)
        path = str(files.sharded_filepath(shard_index=0, num_shards=1))
        writer = array_record_module.ArrayRecordWriter(path, 'group_size:1')
        for row in rows:
            writer.write(features.serialize_example(features.encode_example(row)))
        writer.close()
        infos.append(
            tfds.core.SplitInfo(
                name=split, shard_lengths=[len(rows)], num_bytes=1, filename_template=files
            )
        )
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=features,
        split_infos=infos,
        filename_template=template,
        check_data=False,  # checking would take TensorFlow
    )


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


def encode_mask(pixels, mode='L'):
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    if mode == 'P':
        image.putpalette(bytes(range(255, -1, -1)) * 3)
    image.save(file, 'PNG')
    return file.getvalue()


MASK = tfds.features.Image(shape=(None, None, 1), use_colormap=True)
OBJECTS = tfds.features.Sequence(
    {
        'bbox': tfds.features.BBoxFeature(),
        'label': tfds.features.ClassLabel(names=['car', 'cow', 'sea']),
    }
)
BOX = tfds.features.BBox(ymin=0.25, xmin=0.5, ymax=0.75, xmax=0.9)


def objects(*labels, box=BOX):
    return [{'bbox': box, 'label': label} for label in labels]


def test_masks_come_as_the_classes_of_pixels(write_set, make_settings):
    mask = np.random.default_rng(1).integers(0, 4, (40, 50), np.uint8)
    rows = [dict(image=encode(COLOR), mask=encode_mask(mask, mode)) for mode in ('L', 'P')]
    rows += [dict(image=encode(COLOR), mask=encode_mask(mask[:39]))]
    rows += [dict(image=encode(COLOR), mask=encode(COLOR))]
    write_set(dict(image=tfds.features.Image(shape=(None, None, 3)), mask=MASK), rows)
    source = TfdsImages('tiny_images', 'train')
    assert list(source.fields) == ['hq', 'segments']
    for index in range(2):
        np.testing.assert_array_equal(source.example(index)['segments'], mask)
    with pytest.raises(ImageError, match='its mask has 50x39 pixels, the image 50x40'):
        source.example(2)
    with pytest.raises(ImageError, match="one channel of 8 bits, not the kind 'RGB'"):
        source.example(3)
    settings = make_settings(source='tfds:tiny_images', max_rejected=2)
    iterator = train_iterator(settings, 6, 0, lambda line: None)
    assert next(iterator)['segments'].shape == (6, 8, 8)
    iterator.close()


def test_boxes_come_in_pixels_with_their_classes(write_set):
    several = [objects(2, 0), [], objects(1, box=BOX._replace(xmax=0.5))]
    rows = [dict(image=encode(COLOR), objects=own) for own in several]
    write_set(dict(image=tfds.features.Image(shape=(None, None, 3)), objects=OBJECTS), rows)
    source = TfdsImages('tiny_images', 'train')
    assert source.classes == {'boxes': ('car', 'cow', 'sea')}
    expected = [[10, 25, 30, 45, 2], [10, 25, 30, 45, 0]]
    np.testing.assert_allclose(source.example(0)['boxes'], expected, rtol=1e-6)
    assert source.example(1)['boxes'].shape == (0, 5)
    with pytest.raises(ImageError, match=r'train\[2\]: box 0 is empty'):
        source.example(2)


def test_boxes_outside_are_cut_or_refused():
    found, read = annotations.Annotation('objects', ('car',)), annotations.KINDS['boxes'].read
    boxes = read({'bbox': [[0.2, -0.005, 1.004, 0.5]], 'label': [0]}, found, (30, 20), 'x')
    np.testing.assert_allclose(boxes, [[6, 0, 30, 10, 0]])
    with pytest.raises(ImageError, match='x: box 1 lies outside of the image'):
        several = [[0.2, 0.1, 0.3, 0.5], [0.2, 0.1, 1.2, 0.5]]
        read({'bbox': several, 'label': [0, 0]}, found, (30, 20), 'x')
    with pytest.raises(ImageError, match='the label 1 is out of range: there are 1'):
        read({'bbox': [[0.2, 0.1, 0.3, 0.5]], 'label': [1]}, found, (30, 20), 'x')


def test_a_label_out_of_range_is_an_error(prepare):
    classes = tfds.features.ClassLabel(names=['cat', 'dog'])
    prepare({'train': [encode(COLOR), encode(GRAY)]}, label=classes)
    source = TfdsImages('tiny_images', 'train')
    source._annotations['label'] = source._annotations['label']._replace(classes=('cat',))
    assert source.example(0)['label'] == 0
    with pytest.raises(ImageError, match='the label 1 is out of range: there are 1'):
        source.example(1)
