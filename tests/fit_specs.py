"""Small models of many architectures, by the numbers of their headers: what the catalogue has no example of."""

_SSM = {"ssm.conv_kernel": 4, "ssm.state_size": 128, "ssm.group_count": 1, "ssm.time_step_rank": 64}


def _spec(arch, layers=8, width=2048, ff=6144, heads=16, kv=4, vocab=64000, **more):
    return {
        "architecture": arch, "vocab_size": vocab, "tied": False, "context_length": 131072, "embedding_length": width,
        "block_count": layers, "feed_forward_length": ff, "attention.head_count": heads,
        "attention.head_count_kv": kv, **{key.replace("__", "."): value for key, value in more.items()},
    }  # fmt: skip


def _heads(**more):
    return {"attention.key_length": 128, "attention.value_length": 128, **more}


_EXPERTS = {"expert_count": 32, "expert_used_count": 4, "expert_feed_forward_length": 512}
_DELTA = {
    "ssm.conv_kernel": 4, "ssm.state_size": 128, "ssm.group_count": 16, "ssm.time_step_rank": 32,
    "ssm.inner_size": 4096, "full_attention_interval": 4, "attention.key_length": 256, "attention.value_length": 256,
    "rope.dimension_count": 64,
}  # fmt: skip
_ATTENDS_SOMETIMES = [0, 0, 0, 4, 0, 0, 0, 4]

SPECS = {
    "qwen2moe": _spec("qwen2moe", kv=16, expert_shared_feed_forward_length=2048, **_EXPERTS),
    "qwen35": _spec("qwen35", vocab=248320, **_DELTA),
    "qwen35moe": _spec("qwen35moe", vocab=248320, expert_shared_feed_forward_length=512, **_DELTA, **_EXPERTS),
    "qwen3next": _spec("qwen3next", vocab=151936, expert_shared_feed_forward_length=512, **_DELTA, **_EXPERTS),
    "gemma3n": _spec(
        "gemma3n", layers=25, width=2048, ff=8192, heads=8, kv=2, vocab=262144, attention__sliding_window=512,
        **_heads(**{"attention.key_length": 256, "attention.value_length": 256}),
    ) | {"tied": True},
    "gemma4": _spec(
        "gemma4", layers=12, heads=8, kv=[1] * 12, vocab=262144,
        **{
            "attention.sliding_window": 512, "attention.sliding_window_pattern": ([True] * 5 + [False]) * 2,
            "attention.key_length": 512, "attention.value_length": 512, "attention.key_length_swa": 256,
            "attention.value_length_swa": 256, "embedding_length_per_layer_input": 256,
            "attention.shared_kv_layers": 6, "rope.dimension_count": 512, "rope.dimension_count_swa": 256,
        },
    ) | {"tied": True},
    "gemma4 mixture": _spec(
        "gemma4", layers=12, heads=8, kv=[4, 4, 4, 4, 4, 2] * 2, vocab=262144, **_EXPERTS,
        **{
            "attention.sliding_window": 1024, "attention.sliding_window_pattern": ([True] * 5 + [False]) * 2,
            "attention.key_length": 512, "attention.value_length": 512, "attention.key_length_swa": 256,
            "attention.value_length_swa": 256, "embedding_length_per_layer_input": 0,
            "rope.dimension_count": 512, "rope.dimension_count_swa": 256,
        },
    ) | {"tied": True},
    "phimoe": _spec("phimoe", expert_count=8, expert_used_count=2),
    "olmoe": _spec("olmoe", kv=16, ff=1024, expert_count=32, expert_used_count=8),
    "exaone4": _spec("exaone4", layers=64, attention__sliding_window=4096, **_heads()),
    "exaone-moe": _spec(
        "exaone-moe", leading_dense_block_count=1, expert_shared_count=1, attention__sliding_window=128,
        **_heads(), **_EXPERTS,
    ),
    "granitemoe": _spec("granitemoe", ff=512, expert_count=32, expert_used_count=8),
    "granitehybrid": _spec("granitehybrid", kv=_ATTENDS_SOMETIMES, **_SSM, **{"ssm.inner_size": 4096}),
    "glm4moe": _spec("glm4moe", leading_dense_block_count=1, expert_shared_count=1, **_heads(), **_EXPERTS),
    "mamba": _spec("mamba", ff=0, heads=0, kv=0, **({**_SSM, "ssm.inner_size": 4096, "ssm.state_size": 16})),
    "mamba2": _spec("mamba2", ff=0, heads=0, kv=0, **_SSM, **{"ssm.inner_size": 4096}),
    "falcon-h1": _spec("falcon-h1", **_SSM, **{"ssm.inner_size": 3072}, **_heads()),
    "nemotron_h": _spec(
        "nemotron_h", kv=[0, 0, 0, 0, 4, 0, 0, 0], ff=[0, 6144, 0, 6144, 0, 0, 0, 6144], **_heads(),
        **({**_SSM, "ssm.inner_size": 4096, "ssm.group_count": 8, "ssm.time_step_rank": 64}),
    ),
    "lfm2": _spec("lfm2", kv=[0, 0, 8, 0, 0, 8, 0, 8], **{"shortconv.l_cache": 3}),
    "lfm2moe": _spec(
        "lfm2moe", kv=[0, 0, 8, 0, 0, 8, 0, 8], leading_dense_block_count=2, **{"shortconv.l_cache": 3}, **_EXPERTS
    ),
    "deepseek2": _spec(
        "deepseek2", kv=1, leading_dense_block_count=1, expert_shared_count=2, **_EXPERTS,
        **{
            "attention.key_length": 576, "attention.value_length": 512, "attention.key_length_mla": 192,
            "attention.value_length_mla": 128, "attention.kv_lora_rank": 512, "attention.q_lora_rank": 1536,
            "rope.dimension_count": 64,
        },
    ),
    "ernie4_5-moe": _spec(
        "ernie4_5-moe", leading_dense_block_count=1, expert_shared_feed_forward_length=1024, **_heads(), **_EXPERTS
    ),
    "hunyuan-moe": _spec("hunyuan-moe", ff=1024, expert_shared_feed_forward_length=1024, **_heads(), **_EXPERTS),
    "hunyuan-dense": _spec("hunyuan-dense", **_heads()),
    "dots1": _spec(
        "dots1", kv=16, leading_dense_block_count=1, expert_shared_count=2, expert_weights_scale=2.5, **_heads(),
        **_EXPERTS,
    ),
    "bailingmoe2": _spec("bailingmoe2", leading_dense_block_count=1, expert_shared_count=1, **_EXPERTS),
    "llama4": _spec("llama4", **_heads(), **_EXPERTS),
    "minimax-m2": _spec("minimax-m2", ff=1024, **_heads(), **_EXPERTS),
    "seed_oss": _spec("seed_oss", **_heads()),
    "ernie4_5": _spec("ernie4_5", **_heads()),
    "mistral3": _spec("mistral3", **_heads()),
    "arcee": _spec("arcee", **_heads()),
    "minicpm": _spec("minicpm", **_heads()),
    "afmoe": _spec(
        "afmoe", leading_dense_block_count=1, expert_shared_count=1, attention__sliding_window=2048, **_heads(),
        **_EXPERTS,
    ),
}  # fmt: skip
