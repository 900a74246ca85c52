"""Tensors that say they are on a GPU and compute on the CPU: device mistakes show without a GPU.

A `Pretended` tensor reports `cuda:0` and holds its values on the CPU. Inside `PretendCuda` every
operation checks what a GPU would refuse, a mix of devices or a generator of another device, and
counts what makes a GPU wait for the processor. What CUDA's own kernels do it cannot say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack
from torch.utils._pytree import tree_flatten, tree_map

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")

# The processor has to wait for their answer: a number, or how long the answer is.
WAITS = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::repeat_interleave",
}
# A GPU's tensor may be indexed by a CPU's.
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
COPYING = {"aten::_to_copy", "aten::copy_", "aten::copy"}


class Pretended(Tensor):
    """A tensor of the pretended GPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Pretended:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=CUDA,
        )
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"Pretended({self.held!r})"

    def tolist(self) -> Any:
        """PyTorch itself refuses this for subclasses."""
        for mode in _get_current_dispatch_mode_stack():
            if isinstance(mode, PretendCuda):
                mode.waits["copy to the CPU"] += 1
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with PretendCuda():  # outside of one: backward threads, printing
            return func(*args, **(kwargs or {}))


class PretendCuda(TorchDispatchMode):
    """Inside, "cuda" is a device.

    Attributes:
        waits: how often the processor waited for the GPU, by operation.
    """

    def __init__(self) -> None:
        super().__init__()
        torch._C._ensureCUDADeviceGuardSet()  # autograd asks for one
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name
        wanted = kwargs.get("device")
        given = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        on_gpu = _require_one_device(name, given, args, kwargs, wanted)
        target = torch.device(wanted).type if wanted is not None else ("cuda" if on_gpu else "cpu")
        if on_gpu and (name in WAITS or _chooses(name, args)):
            self.waits[name] += 1
        elif on_gpu and target == "cpu":
            self.waits["copy to the CPU"] += 1
        if wanted is not None:
            kwargs["device"] = CPU
        kwargs.pop("pin_memory", None)
        real = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        return _wrapped(real, args, kwargs, target)


def _require_one_device(
    name: str, given: Sequence[Tensor], args: Any, kwargs: Mapping[str, Any], wanted: Any
) -> bool:
    """Whether the operation runs on the GPU; raises RuntimeError where devices are mixed."""
    gpu = [x for x in given if isinstance(x, Pretended)]
    cpu = [x for x in given if not isinstance(x, Pretended)]
    place = CUDA if gpu or (wanted is not None and torch.device(wanted).type == "cuda") else CPU
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type != place.type:
        raise RuntimeError(f"{name}: generator of {generator.device} for a tensor of {place}")
    if not gpu or name in COPYING:
        return bool(gpu)
    mixed = [x for x in cpu if x.dim() > 0]
    if name in INDEXING and isinstance(args[0], Pretended):
        values = args[2:3]
        mixed = [x for x in values if isinstance(x, Tensor) and x.dim() and x in mixed]
    if mixed:
        shapes = ", ".join(str(tuple(x.shape)) for x in mixed)
        raise RuntimeError(f"{name}: tensors {shapes} on the CPU among those of the GPU")
    return True


def _chooses(name: str, args: Any) -> bool:
    """Whether an operation indexes by True and False: how many are True has to be known."""
    if name not in INDEXING or (len(args) > 2 and args[2].dim() == 0):  # one value for all
        return False
    return any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1])


def _held(x: Any) -> Any:
    return x.held if isinstance(x, Pretended) else x


def _wrapped(real: Any, args: Any, kwargs: Any, target: str) -> Any:
    known = {id(x.held): x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Pretended)}
    plain = {id(x) for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)}

    def wrap(x: Any) -> Any:
        if not isinstance(x, Tensor) or isinstance(x, Pretended):
            return x
        if id(x) in known:  # in place: the same tensor comes back
            return known[id(x)]
        if id(x) in plain or target != "cuda":
            return x
        return Pretended(x)

    return tree_map(wrap, real)


def moved(module: nn.Module) -> nn.Module:
    """`module`, its parameters and buffers in place on the pretended GPU."""
    for part in module.modules():
        for name, own in part._parameters.items():
            if own is not None:
                part._parameters[name] = nn.Parameter(Pretended(own.detach()), own.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = Pretended(buffer)
    return module


@contextmanager
def pretended_gpu() -> Iterator[PretendCuda]:
    """PyTorch as it behaves where there is a GPU, as far as that can be had without one."""
    with ExitStack() as stack:
        for place, name, value in (
            (torch.cuda, "_lazy_init", lambda: None),
            (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
            (torch.cuda, "is_bf16_supported", lambda *_, **__: True),
            (torch.backends.cudnn, "enabled", False),  # its kernels have no CPU form
        ):
            stack.callback(setattr, place, name, getattr(place, name))
            setattr(place, name, value)
        torch._C._set_only_lift_cpu_tensors(True)  # else torch.tensor(..., device) asks the driver
        stack.callback(torch._C._set_only_lift_cpu_tensors, False)
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield stack.enter_context(PretendCuda())
