import pytest

from sr_jax import distributed
from sr_jax.distributed import Processes
from sr_jax.errors import InputError


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (dict(coordinator='a:1'), 'belong together: give all three'),
        (dict(count=2, index=0), 'belong together: give all three'),
        (dict(coordinator='a:1', count=2, index=0, detect=True), 'leave one out'),
        (dict(coordinator='a', count=2, index=0), '--coordinator=a: say host:port'),
        (dict(coordinator='a:1', count=2, index=2), '--process=2 must be from 0 to 1'),
        (dict(coordinator='a:1', count=0, index=0), '--processes must be at least 1'),
        (dict(silence=0.0), 'must be above 0'),
    ],
)
def test_half_given_flags_are_named(flags, message):
    with pytest.raises(InputError) as error:
        Processes(**flags)
    assert message in str(error.value)


def test_a_process_alone_meets_nobody():
    assert not Processes().together
    assert distributed.run_together(Processes(), lambda: 7) == 7
    assert distributed.gather('text') == ['text']
    assert distributed.agree('') == ''
    assert distributed.agree('a problem') == 'a problem'
    distributed.check_alike('config', 'the config')
    assert distributed.is_first()
