"""A training step: nothing waits for the device, and the settings that make it cheaper train the same network."""

from __future__ import annotations

import copy
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, IterableDataset

from jdrl_lightning import DeblurringModule, UserError, backbones, objectives
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.module import channels_last
from jdrl_lightning.rates import Cosine
from jdrl_lightning.runtime.mkldnn_layout import MkldnnNetwork
from jdrl_lightning.types import Pair
from small import BACKBONES


class Reads(TorchDispatchMode):
    """Records every operator whose result the host must wait for: a number, or a shape that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero"):
            self.found.add(name)
        return func(*args, **(kwargs or {}))


class Shift(FlowEstimator):
    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.full_like(first[:, :2], 0.2)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a module logs, without a trainer."""
    logged: dict[str, Any] = {}
    monkeypatch.setattr(DeblurringModule, "log", lambda _, name, value, **__: logged.update({name: value}))
    monkeypatch.setattr(DeblurringModule, "log_dict", lambda _, values, **__: logged.update(values))
    return logged


@pytest.fixture
def pair(photo: Tensor) -> Pair:
    sharp = photo[:, 100:140, 180:220].float()[None] / 255
    blurry = avg_pool2d(photo[:, 99:141, 179:221].float()[None] / 255, 3, 1)
    both = (torch.cat([image, image.flip(-1)])[..., :32, :32].contiguous() for image in (blurry, sharp))
    return Pair(*both, ["a", "b"], {})


def made(
    name: str = "unet", settings: dict[str, Any] | None = None, jdrl: dict[str, Any] | None = None, **options: Any
) -> DeblurringModule:
    torch.manual_seed(0)
    backbone = backbones.create(name, **(settings or BACKBONES[name]))
    for parameter in backbone.parameters():  # some networks start as the identity, with zeros that hide the rest
        nn.init.normal_(parameter, std=0.1)
    own = {"reblur": {"width": 4, "levels": 3}, **(jdrl or {})}
    objective = objectives.create("jdrl", flow={"name": "gauss_newton"}, **own)
    return DeblurringModule(backbone, objective, **options)


def gradients(module: DeblurringModule, pair: Pair) -> dict[str, Tensor]:
    module.zero_grad()
    module.training_step(pair, 0)["loss"].backward()
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("mask", ["magnitude", "colorwheel", "residual", "consistency"])
@pytest.mark.parametrize("flow", [Shift(), {"name": "gauss_newton"}], ids=["shift", "gauss_newton"])
@pytest.mark.parametrize("epoch", [0, 20], ids=["warm-up", "joint"])
def test_a_training_step_and_what_it_logs_never_waits_for_the_device(
    epoch: int, flow: Any, mask: str, quiet: dict[str, Any], pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = objectives.create("jdrl", flow=flow, reblur={"width": 4, "levels": 3}, mask=mask, anchor="affine")
    module = DeblurringModule(backbones.create("unet", width=4), objective)
    optimizer = module.configure_optimizers()
    monkeypatch.setattr(DeblurringModule, "current_epoch", epoch)
    for read in ("numpy", "cpu", "item", "tolist"):
        monkeypatch.setattr(Tensor, read, None)
    with Reads() as reads:
        module.training_step(pair, 0)["loss"].backward()
        optimizer.step()
    monkeypatch.undo()
    assert not reads.found
    assert all(isinstance(value, Tensor) and value.numel() == 1 for value in quiet.values())
    if isinstance(flow, Shift):
        assert quiet["train/flow_px"].item() == pytest.approx(0.2 * 2**0.5)
        assert quiet["train/flow_p95_px"].item() == pytest.approx(0.2 * 2**0.5)


def test_the_watch_sees_a_read() -> None:
    with Reads() as reads:
        float(torch.ones(3).sum())
    assert reads.found == {"_local_scalar_dense"}


def saved_bytes(module: DeblurringModule, pair: Pair) -> int:
    """What the forward pass keeps for the backward pass, each tensor once."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module.training_step(pair, 0)
    return sum(tensor.nbytes for tensor in kept.values())


@pytest.mark.parametrize("name", ["mprnet", "restormer", "nafnet"])
def test_checkpointed_activations_are_fewer_and_the_gradients_the_same(
    name: str, quiet: dict[str, Any], pair: Pair
) -> None:
    plain, checkpointed = made(name), made(name)
    checkpointed.backbone.checkpoint_activations()
    assert plain.state_dict().keys() == checkpointed.state_dict().keys()
    assert saved_bytes(checkpointed, pair) < 0.7 * saved_bytes(plain, pair)
    expected, found = gradients(plain, pair), gradients(checkpointed, pair)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    copied = gradients(copy.deepcopy(checkpointed), pair)  # as weight averaging starts
    assert all(torch.equal(expected[key], copied[key]) for key in expected)


@pytest.mark.parametrize("learns_from", ["restored", "aligned"])
def test_a_checkpointed_reblurring_network_keeps_what_it_predicts(
    learns_from: str, quiet: dict[str, Any], pair: Pair
) -> None:
    settings = {"warmup_epochs": 0, "reblur_learns_from": learns_from, "reblur": {"width": 32, "levels": 3}}
    plain, checkpointed = made(jdrl=settings), made(jdrl=settings)
    checkpointed.objective.checkpoint_activations()
    assert saved_bytes(plain, pair) - saved_bytes(checkpointed, pair) > 2 * 7 * 32 * pair.blurry[:, :1].nbytes
    expected, found = gradients(plain, pair), gradients(checkpointed, pair)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_where_nothing_can_be_checkpointed_the_setting_is_refused(
    composed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    from jdrl_lightning import build

    small = ("backbone=unet_small", "backbone.width=4", "objective.reblur.width=4", "activation_checkpointing=true")
    chosen = build.module(composed(tmp_path, *small))
    assert "forward" in vars(chosen.objective.reblur.wpn)
    with pytest.raises(UserError, match=r"neither backbone=unet nor objective=charbonnier .* set it to false"):
        build.module(composed(tmp_path, *small[:2], small[3], "objective=charbonnier"))


def test_the_settings_reach_the_module(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    from jdrl_lightning import build

    small = ("backbone=nafnet", "backbone.width=4", "backbone.enc_blk_nums=[1,1,1,1]", "objective.reblur.width=4")
    plain = build.module(composed(tmp_path, *small))
    assert plain._compiled is None
    assert "forward" not in vars(plain.backbone.network.middle_blks[0])
    chosen = build.module(composed(tmp_path, *small, "compile=true", "activation_checkpointing=true"))
    assert chosen._compiled is not None
    assert chosen.objective.reblur.kpn._compiled_call_impl is not None
    assert "forward" in vars(chosen.backbone.network.middle_blks[0])
    assert "forward" in vars(chosen.objective.reblur.kpn)
    assert chosen.state_dict().keys() == plain.state_dict().keys()
    assert chosen.config == plain.config  # how it is computed is not what is trained


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="torch.compile needs a C++ compiler")
def test_a_compiled_step_is_the_plain_one(quiet: dict[str, Any], pair: Pair) -> None:
    from jdrl_lightning.backbones.base import Backbone

    class Recording(nn.Conv2d):
        compiling: bool

        def forward(self, input: Tensor) -> Tensor:
            self.compiling = torch.compiler.is_compiling()
            return super().forward(input)

    found = []
    for compile in (False, True):
        torch.manual_seed(0)
        network = Recording(3, 3, 3, padding=1)
        backbone = Backbone(network, divisor=1, licence="", name="small")
        module = DeblurringModule(backbone, objectives.create("charbonnier"), compile=compile)
        found.append(gradients(module, pair))
        assert network.compiling == compile
        module(pair.blurry)
        assert not network.compiling  # outside of training
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-5, atol=1e-7)


def test_the_networks_that_a_step_calls_are_compiled(
    quiet: dict[str, Any], pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, compile = [], torch.compile

    def count(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        sizes.append(sum("conv2d" in str(node.target) for node in graph.graph.nodes))
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", lambda run: compile(run, backend=count))
    reblur = {"width": 4, "levels": 3, "stride": 4}
    settings = {"warmup_epochs": 0, "reblur_learns_from": "aligned", "reblur": reblur}
    module = made("compact", jdrl=settings, compile=True)
    gradients(module, pair)
    networks = module.backbone, module.objective.reblur.trunk
    assert sizes == [sum(isinstance(layer, nn.Conv2d) for layer in network.modules()) for network in networks]


def test_channels_last_is_the_same_network_where_it_is_faster(
    quiet: dict[str, Any], pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Trainer:
        class strategy:
            root_device = torch.device("cpu")

    plain, laid_out = made(), made()
    monkeypatch.setattr(DeblurringModule, "trainer", Trainer)
    plain.configure_model()
    Trainer.strategy.root_device = torch.device("cuda")
    parameters = list(laid_out.parameters())
    laid_out.configure_model()
    assert all(one is other for one, other in zip(parameters, laid_out.parameters(), strict=True))
    weights = plain.backbone.network.block6[0].weight, laid_out.backbone.network.block6[0].weight
    assert [weight.is_contiguous() for weight in weights] == [True, False]
    assert weights[1].is_contiguous(memory_format=torch.channels_last)
    monkeypatch.undo()

    monkeypatch.setattr(DeblurringModule, "log", lambda *_, **__: None)
    monkeypatch.setattr(DeblurringModule, "log_dict", lambda *_, **__: None)
    expected, found = gradients(plain, pair), gradients(laid_out, pair)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)
        assert found[name].stride() == dict(laid_out.named_parameters())[name].stride()
    blocks = backbones.create("nafnet", **BACKBONES["nafnet"])  # with 1×1 and depthwise convolutions
    channels_last(blocks)
    blocks(pair.blurry).images[0].sum().backward()
    assert all(p.grad.stride() == p.stride() for p in blocks.parameters())  # as DDP requires

    torch.save(laid_out.state_dict(), tmp_path / "weights.pt")
    other = made()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert other.backbone.network.block6[0].weight.is_contiguous()
    assert all(torch.equal(value, laid_out.state_dict()[key]) for key, value in other.state_dict().items())


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 only")
def test_networks_are_in_mkldnn_layout_while_they_are_trained(pair: Pair, tmp_path: Path) -> None:
    module = made()
    networks = [network for network in module.modules() if isinstance(network, MkldnnNetwork)]
    seen: list[list[bool]] = []
    note = LambdaCallback(
        on_train_batch_start=lambda *_: seen.append([network.in_mkldnn_layout for network in networks])
    )
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = L.Trainer(accelerator="cpu", max_steps=1, callbacks=[note], default_root_dir=tmp_path, **off)
    trainer.fit(module, DataLoader([pair], batch_size=None))
    assert seen == [[True, True, True]]
    assert [network.in_mkldnn_layout for network in networks] == [False, False, False]


@pytest.mark.parametrize("there", [False, True], ids=["to-processors", "to-CUDA"])
def test_an_optimiser_goes_on_in_another_layout(there: bool, quiet: dict[str, Any], pair: Pair) -> None:
    before, after, expected = made(), made(), made()
    channels_last(after if there else before)
    optimizers = [module.configure_optimizers() for module in (before, after, expected)]
    for module, optimizer in ((before, optimizers[0]), (expected, optimizers[2])):
        gradients(module, pair)
        optimizer.step()
    after.load_state_dict(before.state_dict())
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    for module, optimizer in ((after, optimizers[1]), (expected, optimizers[2])):
        gradients(module, pair)
        optimizer.step()
    for (name, found), right in zip(after.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-5, atol=2e-7, msg=name)
        state = optimizers[1].state[found]
        assert state["exp_avg"].stride() == found.stride()
        moment = optimizers[2].state[right]["exp_avg_sq"]
        torch.testing.assert_close(state["exp_avg_sq"], moment, rtol=2e-2, atol=1e-9)


def test_adam_is_fused_and_may_clip_in_mixed_precision(train: Callable[..., Path], tmp_path: Path) -> None:
    optimizer = made().configure_optimizers()
    assert optimizer.defaults["fused"]
    settings = ("trainer.precision=bf16-mixed", "trainer.gradient_clip_val=0.5", "trainer.limit_train_batches=2")
    run = train(tmp_path / "run", *settings, "trainer.max_epochs=1", "callbacks.best=null")
    (group,) = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"]
    assert group["fused"]


def test_without_a_known_number_of_steps_the_rate_is_that_of_the_epochs_middle(pair: Pair, tmp_path: Path) -> None:
    class Stream(IterableDataset[Pair]):
        def __iter__(self) -> Iterator[Pair]:
            return iter([pair, pair])

    module = made(scheduler=Cosine(epochs=4, warmup_epochs=1))
    rates = []
    watch = LambdaCallback(on_before_optimizer_step=lambda *given: rates.append(given[2].param_groups[0]["lr"]))
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[watch],
        default_root_dir=tmp_path,
        enable_model_summary=False,
        **quiet,
    )
    trainer.fit(module, DataLoader(Stream(), batch_size=None))
    assert rates == pytest.approx([2e-5 * module._scheduler(epoch) for epoch in (0.5, 0.5, 1.5, 1.5)])


def test_a_stage_scales_the_rate_of_its_epochs() -> None:
    stages: list[dict[str, Any]] = [{"name": "first", "start": 0, "weights": {"align": 1.0}, "flow_source": "blurry"}]
    stages += [{**stages[0], "name": "second", "start": 2, "lr_scale": 0.1}]
    factor = made(jdrl={"schedule": stages}, scheduler=Cosine(epochs=4))._rate
    assert [factor(epoch) for epoch in (0, 1.99, 2, 2.5)] == pytest.approx(
        [1, Cosine(epochs=4)(1.99), 0.05, 0.1 * Cosine(epochs=4)(2.5)]
    )


@pytest.mark.parametrize("optim", ["cosine", "finetune", "jdrl_mprnet", "mprnet", "paper"])
def test_every_adam_of_the_configuration_is_fused(
    optim: str, composed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    assert composed(tmp_path, f"optim={optim}")["optim"]["optimizer"]["fused"]
