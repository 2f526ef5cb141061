"""The operator as PyTorch sees it: registered fully, compiled without a break, under autocast and DDP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning.reblur import custom_op, reference
from jdrl_lightning.reblur.custom_op import fused_reblur
from jdrl_lightning.reblur.network import ReblurNet
from jdrl_lightning.reblur.operator import reblur
from jdrl_lightning.reblur.pyramid import reblur_pyramid
from reblur.maps import padded_maps


def leaves(levels: int = 3, height: int = 9, width: int = 12, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    padded, seeds, weights = padded_maps(levels, height, width, 2, dtype=dtype)
    reach = levels - 1
    return [t.requires_grad_() for t in (padded[..., reach:-reach, reach:-reach].contiguous(), seeds, weights)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.filterwarnings("ignore")
def test_registered_as_pytorch_asks(dtype: torch.dtype) -> None:
    tensors = [t.requires_grad_() for t in padded_maps(3, 5, 6, dtype=dtype)]
    torch.library.opcheck(fused_reblur, (*tensors, "square", True))


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_gradient_of_one_input_alone(wanted: int) -> None:
    tensors = leaves()
    together = torch.autograd.grad(reblur(*tensors, levels=3).square().sum(), tensors)
    alone = [t.detach() for t in tensors]
    alone[wanted].requires_grad_()
    (gradient,) = torch.autograd.grad(reblur(*alone, levels=3).square().sum(), alone[wanted])
    assert torch.equal(gradient, together[wanted])


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_compiles_in_one_piece(padding: str) -> None:
    tensors = leaves()

    def loss(image: Tensor, seeds: Tensor, weights: Tensor) -> Tensor:
        return (2 * reblur(image, seeds, weights, levels=3, padding=padding)).square().sum()

    expected = torch.autograd.grad(loss(*tensors), tensors)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(*tensors), tensors), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_equals_the_ring_form(dtype: torch.dtype) -> None:
    tensors = [t.detach().to(dtype).requires_grad_() for t in leaves(8)]
    exact = [t.detach().double().requires_grad_() for t in tensors]
    result, expected = reblur(*tensors), reblur(*exact)
    assert result.dtype == dtype
    cotangent = torch.rand_like(result)
    found = torch.autograd.grad(result, tensors, cotangent)
    wanted = torch.autograd.grad(expected, exact, cotangent.double())
    for ours, theirs in zip((result, *found), (expected, *wanted), strict=True):
        torch.testing.assert_close(ours, theirs.to(dtype))


def test_second_derivatives_are_refused() -> None:
    image, seeds, weights = leaves()
    (gradient,) = torch.autograd.grad(reblur(image, seeds, weights, levels=3).square().sum(), image, create_graph=True)
    with pytest.raises(RuntimeError, match="trying to differentiate twice: the reblurring operator"):
        gradient.sum().backward()


def test_the_pyramid_too() -> None:
    draw = torch.Generator().manual_seed(0)
    shapes = ((1, 3, 21, 26), (1, 10, 21, 26), (1, 5, 21, 26))
    tensors = [torch.rand(*shape, generator=draw).requires_grad_() for shape in shapes]
    exact = [t.detach().double().requires_grad_() for t in tensors]
    found = torch.autograd.grad(reblur_pyramid(*tensors, 3, 2).square().sum(), tensors)
    expected = torch.autograd.grad(reblur_pyramid(*exact, 3, 2).square().sum(), exact)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)


def test_other_devices_and_precisions_have_the_ring_form() -> None:
    assert custom_op._form(torch.device("cpu"), torch.float64) is reference
    assert custom_op._form(torch.device("meta"), torch.float32) is reference


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
