"""Small, randomly initialised `transformers` models of many architectures, for recording and lowering."""

from collections.abc import Mapping
from typing import Any

_TEXT = dict(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37)
_DECODER = dict(**_TEXT, max_position_embeddings=64, num_key_value_heads=2)

CONFIGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertConfig", "BertForSequenceClassification", _TEXT),
    "roberta": ("RobertaConfig", "RobertaForSequenceClassification", dict(**_TEXT, max_position_embeddings=40)),
    "distilbert": (
        "DistilBertConfig",
        "DistilBertForSequenceClassification",
        dict(vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=37),
    ),
    "albert": ("AlbertConfig", "AlbertForSequenceClassification", dict(**_TEXT, embedding_size=16)),
    "electra": ("ElectraConfig", "ElectraForSequenceClassification", dict(**_TEXT, embedding_size=16)),
    "deberta_v2": (
        "DebertaV2Config",
        "DebertaV2ForSequenceClassification",
        dict(**_TEXT, relative_attention=True, position_biased_input=False, pos_att_type=["p2c", "c2p"]),
    ),
    "mpnet": ("MPNetConfig", "MPNetForSequenceClassification", _TEXT),
    "squeezebert": (
        "SqueezeBertConfig",
        "SqueezeBertForSequenceClassification",
        dict(**{**_TEXT, "intermediate_size": 36}, embedding_size=32),
    ),
    "mobilebert": (
        "MobileBertConfig",
        "MobileBertForSequenceClassification",
        dict(**_TEXT, embedding_size=16, true_hidden_size=32, intra_bottleneck_size=32),
    ),
    "roformer": ("RoFormerConfig", "RoFormerForSequenceClassification", dict(**_TEXT, embedding_size=32)),
    "modernbert": (
        "ModernBertConfig",
        "ModernBertForSequenceClassification",
        dict(
            **_TEXT,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            cls_token_id=1,
            sep_token_id=2,
            reference_compile=False,
        ),
    ),
    "gpt2": (
        "GPT2Config",
        "GPT2LMHeadModel",
        dict(vocab_size=99, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2),
    ),
    "gpt_neo": (
        "GPTNeoConfig",
        "GPTNeoForCausalLM",
        dict(
            vocab_size=99,
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            bos_token_id=1,
            eos_token_id=2,
        ),
    ),
    "gpt_neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", dict(**_TEXT, max_position_embeddings=64)),
    "gptj": (
        "GPTJConfig",
        "GPTJForCausalLM",
        dict(
            vocab_size=99, n_positions=64, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, bos_token_id=1, eos_token_id=2
        ),
    ),
    "opt": (
        "OPTConfig",
        "OPTForCausalLM",
        dict(
            vocab_size=99,
            hidden_size=32,
            num_hidden_layers=2,
            ffn_dim=37,
            num_attention_heads=4,
            max_position_embeddings=64,
            word_embed_proj_dim=32,
        ),
    ),
    "bloom": ("BloomConfig", "BloomForCausalLM", dict(vocab_size=99, hidden_size=32, n_layer=2, n_head=4)),
    "llama": ("LlamaConfig", "LlamaForCausalLM", _DECODER),
    "mistral": ("MistralConfig", "MistralForCausalLM", dict(**_DECODER, sliding_window=4)),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", _DECODER),
    "gemma": ("GemmaConfig", "GemmaForCausalLM", dict(**_DECODER, head_dim=8)),
    "phi": ("PhiConfig", "PhiForCausalLM", _DECODER),
    "falcon": (
        "FalconConfig",
        "FalconForCausalLM",
        dict(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, alibi=True),
    ),
    "mixtral": (
        "MixtralConfig",
        "MixtralForCausalLM",
        dict(**{**_DECODER, "intermediate_size": 48}, num_local_experts=4),
    ),
    "mamba": (
        "MambaConfig",
        "MambaForCausalLM",
        dict(vocab_size=99, hidden_size=32, num_hidden_layers=2, state_size=4),
    ),
    "t5": (
        "T5Config",
        "T5ForConditionalGeneration",
        dict(vocab_size=99, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, decoder_start_token_id=0),
    ),
    "bart": (
        "BartConfig",
        "BartForConditionalGeneration",
        dict(
            vocab_size=99,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=37,
            decoder_ffn_dim=37,
            max_position_embeddings=64,
        ),
    ),
    "vit": (
        "ViTConfig",
        "ViTForImageClassification",
        dict(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=37,
            image_size=16,
            patch_size=4,
        ),
    ),
    "deit": (
        "DeiTConfig",
        "DeiTForImageClassification",
        dict(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=37,
            image_size=16,
            patch_size=4,
        ),
    ),
    "convnext": (
        "ConvNextConfig",
        "ConvNextForImageClassification",
        dict(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2),
    ),
    "resnet": (
        "ResNetConfig",
        "ResNetForImageClassification",
        dict(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"),
    ),
    "swin": (
        "SwinConfig",
        "SwinForImageClassification",
        dict(image_size=16, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=2),
    ),
    "segformer": (
        "SegformerConfig",
        "SegformerForImageClassification",
        dict(
            num_encoder_blocks=2,
            depths=[1, 1],
            sr_ratios=[2, 1],
            hidden_sizes=[8, 16],
            patch_sizes=[3, 3],
            strides=[2, 2],
            num_attention_heads=[1, 2],
            mlp_ratios=[2, 2],
            decoder_hidden_size=8,
        ),
    ),
    "mobilenet_v2": (
        "MobileNetV2Config",
        "MobileNetV2ForImageClassification",
        dict(image_size=16, depth_multiplier=0.25),
    ),
    "wav2vec2": (
        "Wav2Vec2Config",
        "Wav2Vec2ForSequenceClassification",
        dict(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=37,
            conv_dim=[8, 8],
            conv_stride=[4, 4],
            conv_kernel=[8, 8],
            num_feat_extract_layers=2,
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2,
            apply_spec_augment=False,
            classifier_proj_size=8,
        ),
    ),
    "whisper": (
        "WhisperConfig",
        "WhisperForConditionalGeneration",
        dict(
            vocab_size=99,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=37,
            decoder_ffn_dim=37,
            num_mel_bins=8,
            max_source_positions=10,
            max_target_positions=20,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=1,
        ),
    ),
}


def build(name: str) -> tuple[Any, Mapping[str, Any]]:
    """The model in float32 and inputs with labels: its output has a loss."""
    import torch  # noqa: PLC0415 - listing the zoo imports neither
    import transformers  # noqa: PLC0415

    config_name, model_name, settings = CONFIGS[name]
    torch.manual_seed(0)
    settings = {"pad_token_id": 0, **settings}
    config = getattr(transformers, config_name)(**settings)
    model = getattr(transformers, model_name)(config).train()
    return model, _inputs(name, model_name, torch)


def _inputs(name: str, model_name: str, torch: Any) -> Mapping[str, Any]:
    generator = torch.Generator().manual_seed(1)

    def ids(*shape: int) -> Any:
        return torch.randint(3, 99, shape, generator=generator)

    label = torch.tensor([0, 1])
    if "ImageClassification" in model_name:
        size = 32 if name in ("convnext", "resnet", "mobilenet_v2", "segformer") else 16
        return dict(pixel_values=torch.randn(2, 3, size, size, generator=generator), labels=label)
    if name == "wav2vec2":
        return dict(input_values=torch.randn(2, 400, generator=generator), labels=label)
    if name == "whisper":
        return dict(input_features=torch.randn(2, 8, 20, generator=generator), labels=ids(2, 5))
    tokens = ids(2, 8)
    mask = torch.ones(2, 8, dtype=torch.long)
    mask[1, 6:] = 0
    labels = label if "Classification" in model_name else ids(2, 8)
    return dict(input_ids=tokens, attention_mask=mask, labels=labels)
