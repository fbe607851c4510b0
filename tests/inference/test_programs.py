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
