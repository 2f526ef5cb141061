"""The operator as PyTorch sees it: registered completely, compiled without a graph break, under autocast and DDP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning.reblur import cpu_kernel, custom_op, reference
from jdrl_lightning.reblur.custom_op import reblur_op
from jdrl_lightning.reblur.kernel_interface import ReblurInputs
from jdrl_lightning.reblur.network import ReblurNet
from jdrl_lightning.reblur.operator import reblur
from reblur.random_maps import random_inputs, random_maps


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.filterwarnings("ignore")
def test_registered_as_pytorch_asks(dtype: torch.dtype) -> None:
    torch.library.opcheck(reblur_op, tuple(random_inputs(3, 5, 6, dtype=dtype).map(Tensor.requires_grad_)))
    coarse = random_inputs(3, 5, 6, dtype=dtype, stride=2).map(Tensor.requires_grad_)
    torch.library.opcheck(reblur_op, tuple(coarse))


def test_exported_programs_find_the_same_operators() -> None:
    """By name, with the arguments of version 0.1.0 in the same order; what came later is optional."""
    forward, backward = torch.ops.jdrl_lightning.reblur.default, torch.ops.jdrl_lightning.reblur_backward.default
    fields = "Tensor padded, Tensor seeds, Tensor weights, str support, bool absolute"
    assert str(forward._schema) == f"jdrl_lightning::reblur({fields}, int stride=1) -> Tensor"
    needs = "bool need_image, bool need_maps"
    arguments = f"Tensor grad_out, {fields}, {needs}, int stride=1"
    assert str(backward._schema) == f"jdrl_lightning::reblur_backward({arguments}) -> Tensor[]"
    assert tuple(argument.name for argument in forward._schema.arguments) == ReblurInputs._fields
    *inputs, stride = random_inputs(3, 5, 6)
    assert stride == 1
    result = forward(*inputs)
    assert torch.equal(result, forward(*inputs, 1))
    assert all(map(torch.equal, backward(result, *inputs, True, True), backward(result, *inputs, True, True, 1)))


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize(("scales", "stride"), [(1, 1), (2, 1), (1, 2)])
def test_compiles_without_a_graph_break(padding: str, scales: int, stride: int) -> None:
    maps = random_maps(3, 9, 12, 2, dtype=torch.float32, scales=scales, stride=stride)
    tensors = [t.requires_grad_() for t in maps]

    def loss(image: Tensor, seeds: Tensor, weights: Tensor) -> Tensor:
        settings = {"padding": padding, "scales": scales, "stride": stride}
        return (2 * reblur(image, seeds, weights, levels=3, **settings)).square().sum()  # type: ignore[arg-type]

    expected = torch.autograd.grad(loss(*tensors), tensors)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(*tensors), tensors), expected)


def test_the_reference_covers_other_devices_and_dtypes() -> None:
    assert custom_op._select_kernel(torch.empty(1, dtype=torch.float64)) is reference
    assert custom_op._select_kernel(torch.empty(1, device="meta")) is reference


def test_a_kernel_that_computes_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_kernel, "forward", lambda inputs: reference.forward(inputs) + 0.01)
    with pytest.warns(UserWarning, match="falls back to the slow reference: a C\\+\\+ compiler"):
        assert custom_op._fast_kernel.__wrapped__(torch.device("cpu")) is reference


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_trains_under_ddp_and_autocast(process_group: None) -> None:
    torch.manual_seed(0)
    network = ReblurNet(levels=3, width=4)
    restored, blurry = torch.rand(2, 1, 3, 12, 10)

    def gradients(model: nn.Module) -> list[Tensor]:
        network.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = (model(restored, blurry) - blurry).square().mean()
        loss.backward()
        return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]

    alone, together = gradients(network), gradients(nn.parallel.DistributedDataParallel(network))
    assert len(alone) == len(list(network.parameters()))
    assert all(gradient.isfinite().all() and gradient.abs().sum() > 0 for gradient in alone)
    assert all(map(torch.equal, together, alone))
