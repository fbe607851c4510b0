# Every target makes the environment in .venv first, with the newest Python that runs, and brings
# it up to date when the requirements have changed. `make` alone says what there is.

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip -qq --disable-pip-version-check
REQUIREMENTS := requirements.txt setup.py setup.cfg pyproject.toml
BASE_PYTHON ?= $(shell tools/find_python.sh)
# Python keeps what it compiles, even where it is told not to: tests start it some hundred times.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test test-slow test-page fuzz docs lint clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo       train a small VQ-VAE on photographs and draw its reconstructions'
	@echo 'make test       run the tests'
	@echo 'make test-slow  run the slow tests too'
	@echo 'make test-page  run the tests of the page, with Gradio, and in Chromium if there is one'
	@echo 'make fuzz       read damaged and hostile files for MINUTES (10)'
	@echo 'make docs       build the pages of docs/ into site/'
	@echo 'make lint       check style and types'
	@echo 'make clean      remove the environment and all caches, but not runs/'
	@echo 'BASE_PYTHON=/path/to/python3 before any of them chooses the Python.'

demo: $(VENV)/installed
	$(PYTHON) -m sr_jax.main --config configs/vqvae.py:demo --workdir runs/demo
	$(PYTHON) -m sr_jax reconstruct runs/demo --output runs/demo/reconstructions --overwrite
	@echo "look at runs/demo/samples and runs/demo/reconstructions (input | reconstruction)"

# Two processes share the tests file by file, in the order of tests/conftest.py.
SHARED := -n 2 --dist loadfile --no-loadscope-reorder
test: $(VENV)/installed-test
	$(PYTHON) -m pytest $(SHARED)

test-slow: $(VENV)/installed-test
	$(PYTHON) -m pytest $(SHARED) -m ''

# Gradio takes an older Pillow, so its environment lies over that of the tests; images are tested with both.
PAGE := $(VENV)/page
# Gradio leaves event loops and sockets to the garbage collector.
UNCLOSED := -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning
test-page: $(PAGE)/installed
	@command -v chromium >/dev/null || echo 'there is no chromium: the tests in a browser are left out'
	$(PAGE)/bin/python -m pytest -n 0 $(UNCLOSED) tests/page \
		'tests/test_documentation.py::test_what_it_shows_runs[docs/app.md]'
	$(PAGE)/bin/python -m pytest -n 0 tests/images

MINUTES ?= 10
fuzz: $(VENV)/installed-test
	JAX_PLATFORMS=cpu PYTHONPATH=.:tests $(PYTHON) -m fuzz --minutes $(MINUTES)

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

lint: $(VENV)/installed-test
	$(PYTHON) -m ruff check
	$(PYTHON) -m mypy

clean:
	rm -rf $(VENV) build dist site *.egg-info .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are touched last, so that an interrupted installation is taken up again.
$(VENV)/made:
	@python='$(BASE_PYTHON)'; test -n "$$python" || exit 1; \
	echo "making $(VENV) with $$("$$python" --version): $$python"; \
	"$$python" -m venv --clear $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/made $(REQUIREMENTS)
	@echo 'installing what sr_jax needs into $(VENV) (a few minutes the first time)'
	@$(PIP) install --requirement requirements.txt
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@echo 'installing what the tests need into $(VENV)'
	@$(PIP) install --editable '.[test]'
	@touch $@

$(PAGE)/installed: $(VENV)/installed-test
	@echo 'installing what the page needs into $(PAGE)'
	@$(PYTHON) -m venv --clear $(PAGE)
	@$(PYTHON) -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> "$$($(PAGE)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/tests.pth"
	@$(PAGE)/bin/python -m pip -qq --disable-pip-version-check install --editable '.[app,browser]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	@echo 'installing what the documentation needs into $(VENV)'
	@$(PIP) install --editable '.[docs]'
	@touch $@
