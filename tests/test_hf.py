"""Models of transformers run with every association."""

from inspect import signature

import pytest
import small_models
import torch
from transformers import (
    CONFIG_MAPPING,
    BertConfig,
    BertModel,
    BloomConfig,
    BloomModel,
    OPTConfig,
    OPTModel,
    ViTConfig,
    ViTModel,
)

from stanhop_app import hf
from stanhop_app.layers import ASSOCIATIONS

TEXT = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TOKENS = torch.randint(5, 50, (2, 150), generator=torch.Generator().manual_seed(0))


def bert(attention):
    torch.manual_seed(0)
    config = BertConfig(**TEXT, intermediate_size=64, attn_implementation=attention)
    return BertModel(config).eval()


def opt(attention):
    torch.manual_seed(0)
    sizes = {"ffn_dim": 64, "word_embed_proj_dim": 32, "max_position_embeddings": 200}
    return OPTModel(OPTConfig(**TEXT, **sizes, attn_implementation=attention)).eval()


def vit(attention):
    torch.manual_seed(0)
    config = ViTConfig(
        image_size=48,
        patch_size=4,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        attn_implementation=attention,
    )
    return ViTModel(config).eval()


def inputs_of(build):
    if build is vit:
        return {
            "pixel_values": torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
        }
    return {"input_ids": TOKENS}


@pytest.mark.parametrize("length", [12, 150])  # explicit weights, and the fused kernel
@pytest.mark.parametrize("build", [bert, opt, vit])
def test_softmax_is_their_eager_attention(build, length):
    inputs = inputs_of(build)
    if build is not vit:
        inputs = {"input_ids": TOKENS[:, :length]}
    wanted = build("eager")(**inputs).last_hidden_state
    found = build("stanhop_softmax")(**inputs).last_hidden_state
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("build", [bert, opt])
def test_softmax_is_their_eager_attention_on_padded_texts(build, padding):
    mask = torch.ones_like(TOKENS)
    mask[1, slice(0, 40) if padding == "left" else slice(110, 150)] = 0
    inputs = {"input_ids": TOKENS, "attention_mask": mask}
    wanted = build("eager")(**inputs).last_hidden_state
    found = build("stanhop_softmax")(**inputs).last_hidden_state
    seen = mask.bool()
    torch.testing.assert_close(found[seen], wanted[seen], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", hf.NAMES)
@pytest.mark.parametrize("build", [bert, opt, vit])
def test_every_association_runs_and_learns(build, name):
    model = build(name).train()
    out = model(**inputs_of(build)).last_hidden_state
    assert out.isfinite().all()
    out.square().mean().backward()
    for parameter, weight in model.named_parameters():
        if "pooler" not in parameter:
            assert weight.grad is not None, parameter
            # A key's bias shifts all scores of a query, which only softmax1 notices.
            if not parameter.endswith(("k_proj.bias", "key.bias")):
                assert weight.grad.any(), parameter
    if name != "stanhop_softmax":
        assert not torch.equal(
            out, build("stanhop_softmax").train()(**inputs_of(build)).last_hidden_state
        )


@pytest.mark.parametrize("name", hf.NAMES)
@pytest.mark.parametrize("build", [bert, opt])
def test_padding_does_not_matter(build, name):
    model, short = build(name), TOKENS[:, :100]
    alone = model(input_ids=short).last_hidden_state
    mask = torch.ones_like(TOKENS)
    mask[:, 100:] = 0
    padded = model(input_ids=TOKENS, attention_mask=mask).last_hidden_state[:, :100]
    torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", hf.NAMES)
def test_a_causal_model_sees_no_later_token_also_with_a_cache(name):
    model = opt(name)
    whole = model(input_ids=TOKENS).last_hidden_state
    changed = TOKENS.clone()
    changed[:, 100:] = 7
    same = model(input_ids=changed).last_hidden_state
    torch.testing.assert_close(same[:, :100], whole[:, :100], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(same[:, 100:], whole[:, 100:], atol=1e-3)
    # Renamed in transformers 5.24.
    known = "cache" if "cache" in signature(model.forward).parameters else "past_key_values"
    begun = model(input_ids=TOKENS[:, :140], use_cache=True)
    rest = model(input_ids=TOKENS[:, 140:], **{known: begun[known]})
    torch.testing.assert_close(rest.last_hidden_state, whole[:, 140:], rtol=1e-4, atol=1e-5)


def test_others_can_be_registered_under_a_name():
    name = hf.register("softmax1", name="clipped", n=2.0, clip=(-0.03, 1.0))
    assert name == "clipped"
    out = bert("clipped")(input_ids=TOKENS).last_hidden_state
    assert not torch.equal(out, bert("stanhop_softmax1")(input_ids=TOKENS).last_hidden_state)
    name = hf.register("entmax")
    torch.testing.assert_close(
        bert(name)(input_ids=TOKENS).last_hidden_state,
        bert("stanhop_entmax15")(input_ids=TOKENS).last_hidden_state,
        rtol=1e-4,
        atol=1e-4,
    )
    assert set(ASSOCIATIONS) - {"entmax"} == {n.removeprefix(hf.PREFIX) for n in hf.NAMES}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"association": "tanh"}, "unknown association 'tanh'"),
        ({"association": "softmax", "clip": (0.5, 1.0)}, "gamma <= 0"),
        ({"association": "softmax1", "n": -1.0}, "n must be at least 0"),
        ({"association": "entmax", "alpha": 0.9}, "alpha at least 1"),
        ({"association": "softmax1", "n": 2.0}, "need a name of their own"),
    ],
)
def test_bad_options_say_what_was_required(options, message):
    with pytest.raises(ValueError, match=message):
        hf.register(**options)


def test_what_no_association_can_do_is_refused():
    function = hf.AttentionInterface()["stanhop_softmax1"]
    x = torch.zeros(1, 1, 2, 4)
    with pytest.raises(
        ValueError, match="stanhop_softmax1 cannot do softcap, which Linear asks for"
    ):
        function(torch.nn.Linear(1, 1), x, x, x, None, softcap=30.0)
    bias = torch.randn(1, 1, 2, 2)
    with pytest.raises(ValueError, match="adds a bias by position"):
        function(torch.nn.Linear(1, 1), x, x, x, bias)
    mask = torch.tensor([[0.0, torch.finfo(torch.float32).min]]).expand(1, 1, 2, 2)
    out, _ = function(torch.nn.Linear(1, 1), x, x, x + 1, mask)
    torch.testing.assert_close(
        out, torch.full((1, 2, 1, 4), 0.5)
    )  # one pattern seen, and the no-op


EQUAL = "albert bart bert deit dinov2 distilbert electra gpt2 gptj gpt_neox llama m2m_100 marian mistral "
EQUAL += "mixtral opt phi qwen2 roberta siglip_vision_model vit vit_mae whisper xlm-roberta yolos"
OWN = "bloom xglm longformer roformer convbert big_bird mpnet ibert nystromformer squeezebert deberta "
OWN += "deberta-v2 xlnet openai-gpt funnel xlm bigbird_pegasus pegasus_x"


@pytest.mark.filterwarnings("ignore::FutureWarning")  # transformers' own names of caches
@pytest.mark.parametrize("name", EQUAL.split())
def test_a_model_has_the_softmax1_of_its_paper_or_says_what_it_is(name):
    """Padded left and right, causal, cached, trained; all kinds of models: tests/benchmarks/hugging_face."""
    made = small_models.compare(name)
    allowed = ("equal", "other input", "not built") if name in ("gptj", "whisper") else ("equal",)
    assert made.outcome in allowed, made


@pytest.mark.parametrize("name", OWN.split())
def test_a_model_with_attention_of_its_own_refuses(name):
    model, config = small_models.model_class(name), CONFIG_MAPPING[name]()
    assert hf.has_own_attention(model)
    config._attn_implementation = "stanhop_softmax1"
    with (
        torch.device("meta"),
        pytest.raises(ValueError, match="computes attention itself, and would"),
    ):
        model(config)


def test_a_model_refuses_later_too():
    """Transformers itself warns, and leaves it."""
    config = BloomConfig(vocab_size=9, hidden_size=8, n_layer=1, n_head=2)
    model = BloomModel(config)
    model.set_attn_implementation("stanhop_softmax1")
    assert model.config._attn_implementation == "eager"


def test_whoever_does_not_call_the_function_still_hides_what_is_hidden():
    mask = hf.AttentionMaskInterface()["stanhop_softmax1"](1, 3, 3)
    assert (
        mask.tolist()
        == torch.full((3, 3), torch.finfo(mask.dtype).min).triu(1)[None, None].tolist()
    )


def test_weights_are_returned_when_asked_for():
    function = hf.AttentionInterface()["stanhop_softmax1"]
    x = torch.randn(1, 2, 3, 4)
    out, weights = function(torch.nn.Linear(1, 1), x, x, x, None, output_attentions=True)
    assert weights.shape == (1, 2, 3, 3)
    torch.testing.assert_close((weights @ x).transpose(1, 2), out)


def test_a_class_of_a_notebook_is_judged_by_what_it_is_made_from():
    for base, own in ((BertModel, False), (BloomModel, True)):
        made = type("Mine", (base,), {"__module__": "nowhere"})
        assert hf.has_own_attention(made) is own


def test_autocast_is_no_obstacle():
    plain = small_models.build("llama", "eager")
    ours = small_models.build("llama", "stanhop_softmax")
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        outs = [model(TOKENS[:, :20] % 50).last_hidden_state.float() for model in (plain, ours)]
    torch.testing.assert_close(*outs, rtol=5e-2, atol=5e-2)


def test_a_mask_is_looked_at_once_in_a_pass(monkeypatch):
    asked = []
    real = torch.Tensor.all
    monkeypatch.setattr(torch.Tensor, "all", lambda x, *a, **k: asked.append(1) or real(x, *a, **k))
    model, mask = opt("stanhop_softmax1"), torch.ones_like(TOKENS)
    mask[0, :3] = 0
    asked.clear()
    model(input_ids=TOKENS, attention_mask=mask)
    assert len(asked) <= 3 < 2 * model.config.num_hidden_layers + 1


def test_a_causal_mask_needs_none(monkeypatch):
    """Without padding the kernel knows; with it, or a cache, it is given a mask."""
    given = []
    real = hf.associate
    monkeypatch.setattr(
        hf,
        "associate",
        lambda *a, **k: given.append((k["mask"] is None, k["is_causal"])) or real(*a, **k),
    )
    model, mask = opt("stanhop_softmax1"), torch.ones_like(TOKENS)
    model(input_ids=TOKENS)
    model(input_ids=TOKENS, attention_mask=mask)
    assert set(given) == {(True, True)}
    given.clear()
    mask[1, :9] = 0
    model(input_ids=TOKENS, attention_mask=mask)
    assert set(given) == {(False, False)}
