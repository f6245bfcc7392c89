"""A GGUF file as the folder that the language-model engine loads.

Loading GGUF means dequantising it, which takes many times longer than loading safetensors, so
it is done once and kept. Transformers does the work: it knows, for each architecture, how GGUF
names and permutes the weights, and how to rebuild the tokenizer.
"""

from __future__ import annotations

import errno
import io
import shutil
import tempfile
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebot.errors import ModelDamagedError, ModelFetchError, ModelMissingError
from voicebot.models.out_of_memory import is_out_of_memory, out_of_memory
from voicebot.models.quiet_transformers import quiet_transformers

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["convert_gguf"]

_MAGIC = b"GGUF"


def convert_gguf(gguf_path: Path, target_dir: Path) -> None:
    """Write ``gguf_path`` as config.json, bfloat16 safetensors, tokenizer and chat template.

    The folder appears whole or not at all. If it is there already, nothing is done.

    Args:
        gguf_path: a GGUF file of an architecture that transformers can read.
        target_dir: the folder to make; its parents are made as well.

    Raises:
        ModelMissingError: there is no such file.
        ModelDamagedError: it is not GGUF, is cut short, or holds what transformers cannot read.
        ModelFetchError: the folder cannot be written, for want of space or of permission.
        EngineError: there is not enough memory.
    """
    if target_dir.is_dir():
        return
    _check_magic(gguf_path)
    try:
        target_dir.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target_dir.name}-", dir=target_dir.parent))
    except OSError as error:
        raise _unwritable(target_dir, error) from error
    try:
        tokenizer, model = _read(gguf_path)
        _write(scratch, target_dir, tokenizer, model)
    finally:
        # Gone already if all went well: it was renamed.
        shutil.rmtree(scratch, ignore_errors=True)


def _check_magic(gguf_path: Path) -> None:
    try:
        with gguf_path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except FileNotFoundError:
        raise ModelMissingError(f"there is no file {gguf_path}", "fetch the model") from None
    except OSError as error:
        raise ModelDamagedError(f"cannot read {gguf_path}: {error}", "fetch it again") from error
    if magic != _MAGIC:
        raise ModelDamagedError(f"{gguf_path} is not a GGUF file", "fetch it again")


def _read(gguf_path: Path) -> tuple[Any, Any]:
    """Tokenizer and model, dequantised to bfloat16."""
    import torch  # noqa: PLC0415 - heavy, so loaded when needed
    import transformers  # noqa: PLC0415

    options: dict[str, Any] = {}
    # Versions without this class dequantise unasked; those with it keep GGUF's blocks.
    make_config: Callable[..., Any] | None = getattr(transformers, "GgufConfig", None)
    if make_config is not None:
        options["quantization_config"] = make_config(dequantize=True)
    # Its annotations leave out that a report comes along when asked for.
    auto_model: Any = transformers.AutoModelForCausalLM
    # The GGUF reader's progress bar heeds no setting.
    with quiet_transformers(), redirect_stderr(io.StringIO()):
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                gguf_path.parent, gguf_file=gguf_path.name, local_files_only=True
            )
            model, report = auto_model.from_pretrained(
                gguf_path.parent,
                gguf_file=gguf_path.name,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.bfloat16,
                output_loading_info=True,
                **options,
            )
        # What a damaged file makes of the reader has no common class: index, value, key errors.
        except Exception as error:
            if is_out_of_memory(error):
                raise out_of_memory() from error
            raise ModelDamagedError(
                f"cannot read {gguf_path}: {error}", "fetch it again, or choose another model"
            ) from error
    if report["missing_keys"]:
        raise ModelDamagedError(
            f"{gguf_path} lacks weights: {min(report['missing_keys'])}", "fetch it again"
        )
    return tokenizer, model


def _write(scratch: Path, target_dir: Path, tokenizer: Any, model: Any) -> None:
    with quiet_transformers():
        try:
            model.save_pretrained(scratch)
            tokenizer.save_pretrained(scratch)
            # Temporary folders and safetensors are their owner's only; a model is not secret.
            scratch.chmod(0o755)
            for file in scratch.iterdir():
                file.chmod(0o644)
            scratch.rename(target_dir)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST} and target_dir.is_dir():
                return  # Another process was faster; its folder is as good.
            raise _unwritable(target_dir, error) from error
        except Exception as error:
            if type(error).__name__ != "SafetensorError":
                raise
            # How safetensors reports a failed write.
            raise _unwritable(target_dir, error) from error


def _unwritable(target_dir: Path, error: Exception) -> ModelFetchError:
    return ModelFetchError(
        f"cannot write the converted model to {target_dir}: {error}",
        "free some space, or choose another folder for models",
    )
