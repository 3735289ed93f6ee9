"""Names of tensors in checkpoints of Hugging Face, and ours."""

BERT_LAYER = {
    "retrieve.query": "attention.self.query",
    "retrieve.key": "attention.self.key",
    "retrieve.value": "attention.self.value",
    "retrieve.out": "attention.output.dense",
    "retrieve_norm": "attention.output.LayerNorm",
    "feed.up": "intermediate.dense",
    "feed.down": "output.dense",
    "feed_norm": "output.LayerNorm",
}


OPT_LAYER = {
    "retrieve.query": "self_attn.q_proj",
    "retrieve.key": "self_attn.k_proj",
    "retrieve.value": "self_attn.v_proj",
    "retrieve.out": "self_attn.out_proj",
    "retrieve_norm": "self_attn_layer_norm",
    "feed.up": "fc1",
    "feed.down": "fc2",
    "feed_norm": "final_layer_norm",
}


VIT_LAYER = {
    "retrieve.query": "attention.attention.query",
    "retrieve.key": "attention.attention.key",
    "retrieve.value": "attention.attention.value",
    "retrieve.out": "attention.output.dense",
    "retrieve_norm": "layernorm_before",
    "feed.up": "intermediate.dense",
    "feed.down": "output.dense",
    "feed_norm": "layernorm_after",
}


REST = {
    "bert": {
        "tokens.weight": "bert.embeddings.word_embeddings.weight",
        "positions.weight": "bert.embeddings.position_embeddings.weight",
        "segments.weight": "bert.embeddings.token_type_embeddings.weight",
        "embedding_norm": "bert.embeddings.LayerNorm",
        "head.transform": "cls.predictions.transform.dense",
        "head.norm": "cls.predictions.transform.LayerNorm",
        "head.bias": "cls.predictions.bias",
    },
    "opt": {
        "tokens.weight": "model.decoder.embed_tokens.weight",
        "positions.weight": "model.decoder.embed_positions.weight",
        "norm": "model.decoder.final_layer_norm",
    },
    "vit": {
        "class_token": "vit.embeddings.cls_token",
        "positions": "vit.embeddings.position_embeddings",
        "patches": "vit.embeddings.patch_embeddings.projection",
        "norm": "vit.layernorm",
        "head": "classifier",
    },
}


LAYERS = {
    "bert": ("bert.encoder.layer", BERT_LAYER),
    "opt": ("model.decoder.layers", OPT_LAYER),
    "vit": ("vit.encoder.layer", VIT_LAYER),
}


TIED = {
    "bert": {
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    "opt": {"lm_head.weight": "model.decoder.embed_tokens.weight"},
    "vit": {},
}
"""Tensors that some files repeat; they must equal what they repeat."""


UNUSED = ("bert.pooler.", "cls.seq_relationship.", "bert.embeddings.position_ids")
"""What a checkpoint may have besides: parts of BERT that masked language modelling does not use."""
