"""Checkpoints of Hugging Face's BERT, OPT and ViT: read from a local folder, and written to one.

``config.json`` and ``model.safetensors`` are all that is read; nothing is fetched, unpickled or executed.
Names of tensors are translated one to one, so that reading and writing again gives the same weights.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stanhop_app.errors import ArtefactError, OptionError
from stanhop_app.files import read_mapping, write_atomic, write_json
from stanhop_app.models.bert import BERT, BERTConfig
from stanhop_app.models.hugging_face_names import LAYERS, REST, TIED, UNUSED
from stanhop_app.models.opt import OPT, OPTConfig
from stanhop_app.models.vit import ViT, ViTConfig

WEIGHTS, CONFIG = "model.safetensors", "config.json"
DEMANDED: dict[str, dict[str, Any]] = {
    "bert": {"hidden_act": "gelu", "is_decoder": False, "layer_norm_eps": 1e-12},
    "opt": {
        "activation_function": "relu",
        "do_layer_norm_before": True,
        "_remove_final_layer_norm": False,
        "enable_bias": True,
        "layer_norm_elementwise_affine": True,
    },
    "vit": {"hidden_act": "gelu", "qkv_bias": True, "layer_norm_eps": 1e-12},
}
"""Options that these models have in one way only."""


def tensor_names(model: nn.Module) -> dict[str, str]:
    """Hugging Face's name of every tensor of a model, by ours.

    Raises:
        OptionError: naming a tensor that has none there, of a gate or a memory layer.
    """
    kind = _kind(model)
    prefix, layer = LAYERS[kind]
    names = {}
    for ours in model.state_dict():
        stem, _, end = ours.rpartition(".")
        if ours in REST[kind]:
            names[ours] = REST[kind][ours]
        elif stem in REST[kind]:
            names[ours] = f"{REST[kind][stem]}.{end}"
        else:
            _, number, part = (*stem.split(".", 2), "", "")[:3]
            if not stem.startswith("blocks.") or part not in layer:
                raise OptionError(
                    f"{ours}: Hugging Face's {kind} has no such tensor; only models without gates, memory "
                    "layers, patch_norm, modern blocks and learned n or beta can be read and written."
                )
            names[ours] = f"{prefix}.{number}.{layer[part]}.{end}"
    return names


def load_checkpoint(folder: Path, **options: Any) -> BERT | OPT | ViT:
    """A model with the weights of a checkpoint in a local folder.

    Args:
        folder: with ``config.json`` and ``model.safetensors``.
        **options: of the configuration, in place of the checkpoint's: ``association="softmax1"``. A
            checkpoint of `save_checkpoint` says its own; others were trained with "softmax". There is no
            dropout.

    Raises:
        ArtefactError: if a file is missing or damaged, a tensor is missing, unknown or of another shape (its
            name is in the message), or the checkpoint is of a kind that is not offered.
    """
    described = _read_config(folder)
    kind = described.get("model_type")
    if kind not in DEMANDED:
        raise ArtefactError(f"{folder}: is a checkpoint of {kind!r}, not of bert, opt or vit.")
    for name, wanted in DEMANDED[kind].items():
        if described.get(name, wanted) != wanted:
            raise ArtefactError(
                f"{folder}: has {name}={described[name]!r}; only {wanted!r} is offered."
            )
    given = _read_tensors(folder / WEIGHTS)
    if kind == "bert":  # as the oldest checkpoints have it
        given = {
            n.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
                "LayerNorm.beta", "LayerNorm.bias"
            ): t
            for n, t in given.items()
        }
    own = described.get("stanhop", {})
    if isinstance(own, dict) and own.get("clip") is not None:
        own = {**own, "clip": tuple(own["clip"])}
    options = {**own, **options}
    try:
        config = _config(kind, described, given, options)
    except KeyError as error:
        raise ArtefactError(f"{folder / CONFIG}: lacks {error.args[0]}.") from None
    except TypeError as error:
        raise OptionError(f"options that there are not: {error}.") from None
    model = MODELS[kind](config)
    names = tensor_names(model)
    for repeated, original in TIED[kind].items():
        if (
            repeated in given
            and original in given
            and not torch.equal(given[repeated], given[original])
        ):
            raise ArtefactError(
                f"{folder}: {repeated} is not tied to {original}; such checkpoints are not offered."
            )
        given.pop(repeated, None)
    for ours, theirs in names.items():
        if theirs not in given:
            raise ArtefactError(f"{folder}: lacks the tensor {theirs}.")
        if given[theirs].shape != model.state_dict()[ours].shape:
            raise ArtefactError(
                f"{folder}: {theirs} is {tuple(given[theirs].shape)}, wanted "
                f"{tuple(model.state_dict()[ours].shape)}."
            )
    for theirs in sorted(set(given) - set(names.values())):
        if not theirs.startswith(UNUSED):
            raise ArtefactError(f"{folder}: holds an unknown tensor {theirs}.")
    model.load_state_dict({ours: given[theirs] for ours, theirs in names.items()})
    return model.eval()


def save_checkpoint(model: BERT | OPT | ViT, folder: Path) -> None:
    """Write a model as a checkpoint that Hugging Face's classes read.

    They compute with softmax, whatever this model does; `load_checkpoint` finds association, clip and n under
    the key "stanhop" of ``config.json``.

    Raises:
        OptionError: for a tensor that has no name there.
        FileExistsError: if the folder holds a checkpoint.
    """
    names = tensor_names(model)
    if (folder / CONFIG).exists():
        raise FileExistsError(f"{folder}: holds a checkpoint already.")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        names[ours]: tensor.detach().contiguous() for ours, tensor in model.state_dict().items()
    }
    write_atomic(folder / WEIGHTS, lambda file: save_file(tensors, file, metadata={"format": "pt"}))
    write_json(folder / CONFIG, _describe(model))


MODELS: dict[str, type[Any]] = {"bert": BERT, "opt": OPT, "vit": ViT}
"""What reads a model, by Hugging Face's ``model_type``."""


def _kind(model: nn.Module) -> str:
    return next(kind for kind, cls in MODELS.items() if isinstance(model, cls))


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        content = read_mapping(folder / CONFIG)
    except FileNotFoundError:
        raise ArtefactError(f"{folder / CONFIG}: no such file.") from None
    except (ValueError, OSError) as error:
        raise ArtefactError(f"{folder / CONFIG}: damaged ({error}).") from None
    return content


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return {name: tensor.float() for name, tensor in load_file(path).items()}
    except FileNotFoundError:
        raise ArtefactError(
            f"{path}: no such file; checkpoints of other kinds (.bin) are not read."
        ) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtefactError(f"{path}: damaged ({error}).") from None


def _config(
    kind: str, described: Mapping[str, Any], given: Mapping[str, Tensor], options: Mapping[str, Any]
) -> BERTConfig | OPTConfig | ViTConfig:
    common = {
        "association": "softmax",
        "dropout": 0.0,
        "dim": described["hidden_size"],
        "num_heads": described["num_attention_heads"],
        "num_layers": described["num_hidden_layers"],
        "hidden_dim": described["ffn_dim" if kind == "opt" else "intermediate_size"],
    }
    if kind == "vit":
        classes = len(given["classifier.bias"]) if "classifier.bias" in given else 2
        of_kind = {
            "image_size": described["image_size"],
            "patch_size": described["patch_size"],
            "channels": described["num_channels"],
            "num_classes": classes,
        }
        return ViTConfig(**{**common, **of_kind, **options})
    of_text = {
        "vocab_size": described["vocab_size"],
        "max_length": described["max_position_embeddings"],
    }
    if kind == "opt":
        if described.get("word_embed_proj_dim", common["dim"]) != common["dim"]:
            raise ArtefactError(
                "OPT with word_embed_proj_dim other than hidden_size is not offered."
            )
        return OPTConfig(**{**common, **of_text, **options})
    segments = {"segments": described["type_vocab_size"]}
    return BERTConfig(**{**common, **of_text, **segments, **options})


def _describe(model: BERT | OPT | ViT) -> dict[str, Any]:
    config, kind = model.config, _kind(model)
    described = {
        "model_type": kind,
        "stanhop": {"association": config.association, "clip": config.clip, "n": config.n},
        "hidden_size": config.dim,
        "num_attention_heads": config.num_heads,
        "num_hidden_layers": config.num_layers,
        "ffn_dim" if kind == "opt" else "intermediate_size": config.hidden_dim,
        **DEMANDED[kind],
    }
    if isinstance(config, ViTConfig):
        return {
            **described,
            "architectures": ["ViTForImageClassification"],
            "image_size": config.image_size,
            "patch_size": config.patch_size,
            "num_channels": config.channels,
            "id2label": {str(i): f"LABEL_{i}" for i in range(config.num_classes)},
        }
    described |= {"vocab_size": config.vocab_size, "max_position_embeddings": config.max_length}
    if isinstance(config, BERTConfig):
        return {
            **described,
            "architectures": ["BertForMaskedLM"],
            "type_vocab_size": config.segments,
        }
    return {
        **described,
        "architectures": ["OPTForCausalLM"],
        "word_embed_proj_dim": config.dim,
    }
