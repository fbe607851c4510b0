from sr_jax.devices import compiling
from sr_jax.inference import programs
from sr_jax.inference.programs import Form, choose_form


def test_work_enough_is_worth_another_form():
    little, much = programs.MANY_PIXELS - 1, programs.MANY_PIXELS
    weights = programs.MANY_PRODUCTS // little
    few, where = Form(as_loop=True, few_products=True), programs.WORTH_COMPILING
    for dtype in ('float32', 'bfloat16'):
        partly = choose_form(little, weights - 1, 'auto', 3, dtype)
        assert partly == few._replace(least=where[dtype], devices=3)
    assert choose_form(little, weights - 1, 'auto', dtype='float16') == Form(as_loop=True)
    assert choose_form(little, weights - 1, 'all') == Form(as_loop=True)
    assert choose_form(much, 5, 'auto') == Form()
    assert choose_form(little, weights + 1, 'auto') == choose_form(much, weights, 'auto') == few
    assert choose_form(much, weights, 'all') == Form()
    assert choose_form(much, 5, 'few', 3) == few._replace(devices=3)


def test_what_a_form_says():
    assert Form(True).describe(True) == ', equal blocks as a loop'
    assert Form(True, True).describe(False) == ', few products'
    assert Form(True, True, least=5).describe(True) == ', equal blocks as a loop'


def test_a_program_that_runs_once_is_compiled_soon_beside_onednn_alone():
    soon, kept = Form(as_loop=True), compiling.KEEP_BARRIERS
    made = soon.compiler_options({**kept, **compiling.ONEDNN})
    assert made == {**kept, **compiling.ONEDNN, **compiling.SOON}
    assert soon.compiler_options(kept) is kept and soon.compiler_options(None) is None
    assert Form(True, True, least=5).compiler_options(compiling.ONEDNN) != compiling.ONEDNN
    for form in (Form(), Form(as_loop=True, few_products=True)):
        assert form.compiler_options(compiling.ONEDNN) is compiling.ONEDNN
