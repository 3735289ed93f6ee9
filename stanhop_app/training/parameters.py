"""Which parameters of a model are decayed."""

from typing import Any

from torch import nn

from stanhop_app.training.config import TrainingConfig

NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


def parameter_groups(model: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """One group of all parameters, or a second one, of the gains of norms, that is not decayed."""
    if config.decay_gains:
        return [{"params": list(model.parameters())}]
    norms = (m for m in model.modules() if isinstance(m, NORMS))
    gains = {id(m.weight): m.weight for m in norms if isinstance(m.weight, nn.Parameter)}
    return [
        {"params": [p for p in model.parameters() if id(p) not in gains]},
        {"params": list(gains.values()), "weight_decay": 0.0},
    ]
