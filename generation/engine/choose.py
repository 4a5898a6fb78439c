"""Which engine a worker runs. Light until it is called: torch comes with the engine."""

from pathlib import Path

from generation.engine.protocol import Engine


def build(
    *,
    device: str = "auto",
    threads: int = 0,
    models_held: int = 2,
    notes: Path | None = None,
    memory: int = 0,
    dtype: str = "auto",
    compiler: str = "",
    hang_seconds: float = 0.0,
) -> Engine:
    """`device`: auto, cpu or cuda:N. `threads`: of the processor, 0 for torch's own choice. `models_held`: how many
    checkpoints may be in memory at a time, `memory`: how many bytes of them (0: any). `notes`: the file that keeps how
    many slots were measured. `dtype`: auto, float16, bfloat16 or float32. `compiler`: a backend of torch.compile.
    `hang_seconds`: how long the device may not answer before the process ends (0: any time)."""
    from generation.engine.loop import LoopEngine

    return LoopEngine(
        device=device,
        threads=threads,
        models_held=models_held,
        notes=notes,
        memory=memory,
        dtype=dtype,
        compiler=compiler,
        hang_seconds=hang_seconds,
    )
