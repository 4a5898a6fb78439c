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


# What runs out beside torch's own allocator on a GPU is a plain RuntimeError or torch.AcceleratorError, and on the
# processor everything is: only the text tells them apart.
OUT_OF_MEMORY = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)
    )


def is_device_lost(error: BaseException) -> bool:
    """Whether this process's context on the device is gone, so that no later call can succeed: only a new process
    gets another. `torch.AcceleratorError` is a RuntimeError, and so is what older calls raise instead."""
    return isinstance(error, RuntimeError) and "CUDA error" in str(error) and not is_out_of_memory(error)


def free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
