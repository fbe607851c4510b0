import pytest

from sr_jax.degradations.settings import BicubicSettings, PairedSettings
from sr_jax.errors import InputError
from sr_jax.tasks.shared.enlarging import check_source

BICUBIC = BicubicSettings('bicubic', rounded=True)
PAIRED = PairedSettings('paired')


@pytest.mark.parametrize(
    ('settings', 'source', 'validation', 'problem'),
    [
        (PAIRED, 'paired:a:b', '', ''),
        (PAIRED, 'paired:a:b', 'paired:c:d', ''),
        (BICUBIC, 'folder:a', 'paired:c:d', ''),
        (PAIRED, 'photos', '', "source='photos' does not go with .*'paired'"),
        (BICUBIC, 'paired:a:b', '', "source='paired:a:b' does not go with .*'bicubic'"),
        (PAIRED, 'paired:a:b', 'photos', "validation_source='photos' has no small images"),
    ],
)
def test_sources_must_have_what_is_wanted(settings, source, validation, problem):
    data = dict(source=source, validation_source=validation)
    if problem:
        with pytest.raises(InputError, match=problem):
            check_source(settings, data)
    else:
        check_source(settings, data)
