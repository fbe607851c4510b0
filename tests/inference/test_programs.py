from sr_jax.devices import compiling
from sr_jax.inference import programs
from sr_jax.inference.programs import Form, choose_form


def test_work_enough_is_worth_another_form():
    little, much = programs.MANY_PIXELS - 1, programs.MANY_PIXELS
    weights = programs.MANY_PRODUCTS // little
    assert choose_form(little, weights - 1, 'auto') == Form(as_loop=True)
    assert choose_form(much, 5, 'auto') == Form()
    assert choose_form(little, weights + 1, 'auto') == Form(as_loop=True, few_products=True)
    assert choose_form(much, weights, 'auto') == Form(as_loop=True, few_products=True)
    assert choose_form(much, weights, 'all') == Form()
    assert choose_form(much, 5, 'few', 3) == Form(as_loop=True, few_products=True, devices=3)


def test_a_program_that_runs_once_is_compiled_soon_beside_onednn_alone():
    soon, kept = Form(as_loop=True), compiling.KEEP_BARRIERS
    made = soon.compiler_options({**kept, **compiling.ONEDNN})
    assert made == {**kept, **compiling.ONEDNN, **compiling.SOON}
    assert soon.compiler_options(kept) is kept and soon.compiler_options(None) is None
    for form in (Form(), Form(as_loop=True, few_products=True)):
        assert form.compiler_options(compiling.ONEDNN) is compiling.ONEDNN
