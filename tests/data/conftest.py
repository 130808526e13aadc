import pytest


@pytest.fixture(autouse=True)
def _fresh_state():
    """No fresh Keras session: most tests here make no Keras objects."""
