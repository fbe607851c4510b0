import dataclasses

from sr_jax.tasks.task import TrainState


def test_the_fields_that_checkpoints_have_been_saved_with():
    """Another field, even one that is None, and no checkpoint before it can be read."""
    assert [field.name for field in dataclasses.fields(TrainState)] == [
        'step',
        'params',
        'variables',
        'opt_state',
        'ema_params',
        'loss_scale',
    ]
