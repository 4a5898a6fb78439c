"""Where torch computes, with which numbers and how many threads."""

import gc
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Device:
    name: str  # "cpu", "cuda:0"
    dtype: torch.dtype
    compiler: str = ""  # a backend of torch.compile, "" for none


DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def choose_device(name: str, *, dtype: str = "auto", compiler: str = "") -> Device:
    """`name` is auto, cpu, cuda or cuda:N. `dtype` auto is half precision on a GPU; a processor is slower with it."""
    gpu = torch.cuda.is_available()
    chosen = torch.device(("cuda" if gpu else "cpu") if name == "auto" else name)
    if chosen.type == "cuda" and not gpu:
        raise ValueError(f"EASEL_DEVICE is {name!r}, but torch {torch.__version__} sees no GPU on this machine.")
    usual = torch.float16 if chosen.type == "cuda" else torch.float32
    if dtype != "auto" and dtype not in DTYPES:
        raise ValueError(f"EASEL_DTYPE is {dtype!r}; auto, {', '.join(DTYPES)} are possible.")
    return Device(str(chosen), DTYPES.get(dtype, usual), compiler)


def prepare_thread(threads: int) -> None:
    """To be called in the thread that computes: both settings belong to it. 0 threads: torch decides."""
    torch.set_flush_denormal(True)  # small activations would otherwise cost a hundred times as much
    if threads:
        torch.set_num_threads(threads)


def is_out_of_memory(error: BaseException) -> bool:
    # On the processor torch raises a plain RuntimeError, which only its text tells apart.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )


def free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
