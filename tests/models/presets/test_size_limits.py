import pytest

from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.models.convbert.convbert_sizes import SIZE_RULES
from keras_convbert.models.convbert.convbert_sizes import count_parameters
from keras_convbert.models.presets.size_limits import check_sizes
from tests.models.convbert import tiny

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "hidden_dim": 64, "intermediate_dim": 128},
        {"conv": False},
        {"num_groups": 2, "embedding_dim": None, "kernel_size": 9},
        {"head_ratio": 4, "head_dim": 12},
    ],
)
def test_parameters_are_counted(options):
    backbone = tiny.backbone(**options)
    counted = count_parameters(backbone.get_config())
    assert 0.8 < counted / backbone.count_params() < 1.1


def test_the_sizes_of_the_paper_fit_their_weights():
    for name, size in ARCHITECTURES.items():
        config = size["config"]
        for bytes_each in (1, 2, 4):
            weights = bytes_each * count_parameters(config)
            check_sizes(config, name, [SIZE_RULES], weights)
        check_sizes(config, name, [SIZE_RULES])
