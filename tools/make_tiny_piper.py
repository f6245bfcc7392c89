"""Write a Piper voice that is no voice: what tests and timings of Piper run on.

    python tools/make_tiny_piper.py FILE.onnx [--language de] [--speakers A,B] [--no-alignment]
    python tools/make_tiny_piper.py FILE.onnx --shape x_low|low|medium|high

The first form writes a graph of a few operators that hums: a tone for every sound, silence for
blanks, spaces and punctuation, as long as the phonemes and the length scale say, at a pitch of the
speaker's own. It takes and gives what a Piper voice does, piper-tts phonemises for it and runs it.

The second form needs no trained weights either: piper-tts's own training network, in the sizes
that Piper's training has for each quality, filled with random weights and exported as Piper
exports. It takes as long as a voice of that quality; what it says is noise. Its durations are held
near 26 ms a symbol, blanks between sounds included: about 15 letters a second, as people speak.

Beside FILE.onnx stands FILE.onnx.json, as for every voice. It says in ``voicebot.weights`` what
the voice is: ``tiny`` or ``shape-true``.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

__all__ = ["Quality", "write_shape_true_voice", "write_tiny_voice"]

Quality: TypeAlias = Literal["x_low", "low", "medium", "high"]

_SYMBOLS = 256
_HOP = 256
_MEDIUM_RATE_HZ, _LOW_RATE_HZ = 22_050, 16_000
_EDGE_FRAMES, _SOUND_FRAMES, _SPACE_FRAMES, _STOP_FRAMES = 12.0, 6.0, 3.0, 20.0
_LOUDNESS = 0.25
_BREATH = 0.0005
_FIRST_CYCLES = 2
_SHAPE_SYMBOL_S = 0.0265


def write_tiny_voice(
    file: Path,
    *,
    language: str = "en-us",
    speakers: tuple[str, ...] = (),
    alignment: bool = True,
    sample_rate_hz: int = _MEDIUM_RATE_HZ,
    loudness: float = _LOUDNESS,
) -> None:
    """Write a humming voice and its config.

    Args:
        file: the ``.onnx`` file.
        language: the espeak voice that phonemises for it.
        speakers: their names; none for a voice of one speaker, which takes no speaker id.
        alignment: whether piper-tts can find the durations in the graph.
        sample_rate_hz: of its audio.
        loudness: the tone's amplitude, 0 to 1.
    """
    import onnx  # noqa: PLC0415 - only where needed

    onnx.save(_humming(len(speakers), loudness, alignment=alignment), str(file))
    _write_config(file, language, speakers, sample_rate_hz, "tiny", quality="tiny")


def write_shape_true_voice(file: Path, quality: Quality, *, language: str = "en-us") -> None:
    """Write a voice of one speaker with random weights in the sizes of ``quality``.

    The sizes are those of Piper's training (``--quality`` of its trainer); low is medium's network
    at 16 kHz.
    """
    import torch  # noqa: PLC0415 - only where needed
    from piper.train.vits.config import ModelAudioConfig  # noqa: PLC0415 - only where needed
    from piper.train.vits.models import SynthesizerTrn  # noqa: PLC0415 - only where needed

    rate_hz = _LOW_RATE_HZ if quality in {"x_low", "low"} else _MEDIUM_RATE_HZ
    # The graph rounds up to whole frames.
    log_frames = math.log(_SHAPE_SYMBOL_S * rate_hz / _HOP - 0.5)

    class SteadyPace(torch.nn.Module):
        """The duration predictor, with its random durations drawn towards an even pace."""

        def __init__(self, predictor: torch.nn.Module) -> None:
            super().__init__()
            self.predictor = predictor

        def forward(self, *inputs: Any, **options: Any) -> Any:
            return 0.3 * torch.tanh(self.predictor(*inputs, **options)) + log_frames

    class AsExported(torch.nn.Module):
        def __init__(self, network: Any) -> None:
            super().__init__()
            self.network = network

        def forward(self, symbols: Any, lengths: Any, scales: Any) -> Any:
            audio, *_ = self.network.infer(
                symbols,
                lengths,
                noise_scale=scales[0],
                length_scale=scales[1],
                noise_scale_w=scales[2],
            )
            return audio.unsqueeze(1)

    audio = ModelAudioConfig.high_quality() if quality == "high" else ModelAudioConfig.low_quality()
    width, inner = (96, 384) if quality == "x_low" else (192, 768)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The exporter tells its own developers many things.
        network = SynthesizerTrn(
            n_vocab=_SYMBOLS,
            spec_channels=513,
            segment_size=32,
            inter_channels=width,
            hidden_channels=width,
            filter_channels=inner,
            n_heads=2,
            n_layers=6,
            kernel_size=3,
            p_dropout=0.1,
            resblock=audio.resblock,
            resblock_kernel_sizes=audio.resblock_kernel_sizes,
            resblock_dilation_sizes=audio.resblock_dilation_sizes,
            upsample_rates=audio.upsample_rates,
            upsample_initial_channel=audio.upsample_initial_channel,
            upsample_kernel_sizes=audio.upsample_kernel_sizes,
        ).eval()
        with torch.no_grad():
            network.dec.remove_weight_norm()  # type: ignore[no-untyped-call]  # not typed there
            # Random weights whisper; a voice that nobody hears would be trimmed to nothing.
            network.dec.conv_post.weight *= 10.0
        network.add_module("dp", SteadyPace(network.dp))
        torch.onnx.export(
            AsExported(network),
            (torch.ones((1, 50), dtype=torch.long), torch.tensor([50]), torch.ones(3)),
            str(file),
            opset_version=15,
            dynamo=False,
            input_names=["input", "input_lengths", "scales"],
            output_names=["output"],
            dynamic_axes={
                "input": {0: "batch", 1: "symbols"},
                "input_lengths": {0: "batch"},
                "output": {0: "batch", 2: "time"},
            },
        )
    _write_config(file, language, (), rate_hz, "shape-true", quality=quality)


def _write_config(
    file: Path,
    language: str,
    speakers: tuple[str, ...],
    sample_rate_hz: int,
    weights: str,
    *,
    quality: str,
) -> None:
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP  # noqa: PLC0415 - only where needed

    family, _, region = language.partition("-")
    config = {
        "dataset": file.stem,
        "audio": {"sample_rate": sample_rate_hz, "quality": quality},
        "espeak": {"voice": language},
        "language": {"code": f"{family}_{(region or family).upper()}", "family": family},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "num_symbols": _SYMBOLS,
        "num_speakers": max(len(speakers), 1),
        "speaker_id_map": {name: index for index, name in enumerate(speakers)},
        "hop_length": _HOP,
        "voicebot": {"weights": weights},
    }
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    file.with_name(file.name + ".json").write_text(text, encoding="utf-8")


class _Graph:
    """An ONNX graph in the making."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, dtype: str = "float32") -> str:
        """A constant; its name."""
        import numpy as np  # noqa: PLC0415 - only where needed
        from onnx import numpy_helper  # noqa: PLC0415 - only where needed

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """The result of an operator; its name."""
        from onnx import helper  # noqa: PLC0415 - only where needed

        name = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name


def _humming(speakers: int, loudness: float, *, alignment: bool) -> Any:
    """The graph: symbols → durations → a tone with a whole number of cycles a frame."""
    from onnx import TensorProto, checker, helper  # noqa: PLC0415 - only where needed

    graph = _Graph()
    add, constant = graph.add, graph.constant
    lengths, levels = _symbol_tables(loudness)
    symbols = add("Reshape", "input", constant([-1], "int64"))
    noise_scale, length_scale, rhythm_scale = (
        add("Gather", "scales", constant(index, "int64")) for index in range(3)
    )
    durations = _durations(
        graph,
        add("Mul", add("Gather", constant(lengths), symbols), length_scale),
        rhythm_scale,
        alignment=alignment,
    )
    ends = add("CumSum", durations, constant(0, "int64"))
    frames = add("Max", add("ReduceSum", durations, keepdims=0), constant(1.0))
    zero, one, axis = constant(0.0), constant(1.0), constant([1], "int64")
    each_frame = add("Unsqueeze", add("Range", zero, frames, one), axis)
    passed = add("Cast", add("GreaterOrEqual", each_frame, ends), to=TensorProto.INT64)
    symbol_at = add("ReduceSum", passed, axis, keepdims=0)
    level_at = add("Gather", add("Gather", constant(levels), symbols), symbol_at)

    hop = constant(float(_HOP))
    ticks = add("Range", zero, add("Mul", frames, hop), one)
    frame_of = add("Cast", add("Floor", add("Div", ticks, hop)), to=TensorProto.INT64)
    cycles = constant(float(_FIRST_CYCLES))
    if speakers:
        cycles = add("Add", cycles, add("Cast", "sid", to=TensorProto.FLOAT))
    angle = add("Mul", add("Mul", ticks, constant(2 * math.pi / _HOP)), cycles)
    tone = add("Mul", add("Sin", angle), add("Gather", level_at, frame_of))
    breath = add("Mul", add("RandomNormalLike", tone), noise_scale)
    audio = add("Add", tone, add("Mul", breath, constant(_BREATH)))
    add("Reshape", audio, constant([1, 1, 1, -1], "int64"), output="output")

    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [1, "symbols"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    if speakers:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "time"])
    made = helper.make_graph(graph.nodes, "humming", inputs, [output], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    checker.check_model(model)
    return model


def _symbol_tables(loudness: float) -> tuple[list[float], list[float]]:
    """Of each symbol how many frames it lasts, and how loud it is."""
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP  # noqa: PLC0415 - only where needed

    frames, levels = [_SOUND_FRAMES] * _SYMBOLS, [loudness] * _SYMBOLS
    silent = {"_": 0.0, "^": _EDGE_FRAMES, "$": _EDGE_FRAMES, " ": _SPACE_FRAMES}
    silent |= dict.fromkeys(".,;:?!", _STOP_FRAMES) | dict.fromkeys("ˈˌ", 0.0)
    for phoneme, length in silent.items():
        for symbol in DEFAULT_PHONEME_ID_MAP[phoneme]:
            frames[symbol], levels[symbol] = length, 0.0
    return frames, levels


def _durations(graph: _Graph, wanted: str, rhythm_scale: str, *, alignment: bool) -> str:
    """Whole frames a symbol, varied a little by chance."""
    add, constant = graph.add, graph.constant
    chance = add("Mul", add("RandomNormalLike", wanted), rhythm_scale)
    pace = add("Add", add("Mul", chance, constant(0.1)), constant(1.0))
    varied = add("Mul", wanted, add("Max", pace, constant(0.5)))
    if alignment:
        return add("Ceil", varied, output="durations")
    # The same by other operators: piper-tts finds the durations by their Ceil.
    return add("Neg", add("Floor", add("Neg", varied)), output="durations")


def _main() -> None:
    parser = argparse.ArgumentParser(description="Write a Piper voice for tests or for timings.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--language", default="en-us", help="the espeak voice that phonemises")
    parser.add_argument("--speakers", default="", help="names, with commas between them")
    parser.add_argument("--no-alignment", action="store_true", help="hide the durations")
    parser.add_argument("--shape", choices=get_args(Quality), help="random weights of this size")
    arguments = parser.parse_args()
    if arguments.shape:
        write_shape_true_voice(arguments.file, arguments.shape, language=arguments.language)
        return
    write_tiny_voice(
        arguments.file,
        language=arguments.language,
        speakers=tuple(filter(None, arguments.speakers.split(","))),
        alignment=not arguments.no_alignment,
    )


if __name__ == "__main__":
    _main()
