from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning import DeblurringModule, Pair, Restored, UserError, backbones, build, objectives
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.guided import REACH_PX, Guided
from jdrl_lightning.flow.contrast import edge_width, edges_left, log_contrast
from jdrl_lightning.inference.export_formats import Shape, difference, program, serialized
from jdrl_lightning.inference.network import blur_radius
from jdrl_lightning.testing import assert_is_backbone
from small import BACKBONES, drawn

NAMES = [name for name in BACKBONES if name != "guided"]


def guide(name: str, **settings: Any) -> Backbone:
    return backbones.create("guided", of={"name": name, **BACKBONES[name]}, width=4, **settings)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [False, True])
def test_an_untrained_guide_changes_no_bit(name: str, training: bool) -> None:
    torch.manual_seed(0)
    backbone = guide(name, channels=3).train(training)
    assert isinstance(backbone.network, Guided)
    blurry = torch.rand(1, 3, 37, 45)
    torch.manual_seed(1)
    expected = backbone.network.inner(blurry)
    torch.manual_seed(1)
    found = backbone(blurry)
    assert len(found.images) == len(expected.images)
    assert all(torch.equal(a, b) for a, b in zip(found.images, expected.images, strict=True))
    assert found.aux.keys() == {"map", *(f"inner_{key}" for key in expected.aux)}


def test_any_network_is_guided_from_the_command_line(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    chosen = ("backbone=guided", "backbone@backbone.of=nafnet", "backbone.of.width=4", "objective=jdrl_map")
    config = composed(tmp_path, *chosen, "data.root=nowhere")
    assert build.module(config).backbone.name == "guided_nafnet"


def test_the_published_estimator_has_its_size() -> None:
    published = backbones.create("guided", of={"name": "compact"}, channels=35, stride=1).network
    assert sum(p.numel() for p in published.estimator.parameters()) == 66_499
    assert [tuple(p.shape[:2]) for p in published.attention.parameters()] == [(2, 38), (38, 2)]
    first = published.estimator[1].first
    assert first.weight.std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.05)
    assert torch.equal(first.bias, torch.full((32,), 0.1))


def test_ours_estimates_from_cells_and_starts_at_a_constant() -> None:
    torch.manual_seed(0)
    estimator, blurry = guide("unet", stride=4).network.estimator, torch.rand(1, 3, 22, 33)
    torch.testing.assert_close(estimator(blurry), torch.full((1, 1, 22, 33), 0.1))
    for parameter in estimator.parameters():
        nn.init.normal_(parameter, std=0.2)
    whole = nn.functional.pad(blurry, (0, 7, 0, 2), mode="replicate")
    edges = [measure(whole, 4) for measure in (log_contrast, edge_width, edges_left)]
    cells = torch.cat([nn.functional.pixel_unshuffle(whole, 4), *edges], 1)
    fine = estimator.before(estimator.first(cells))
    coarse = estimator.coarse(estimator.down(fine))
    assert coarse.shape == (1, 8, 3, 5)
    found = estimator.last(estimator.after(fine + estimator.up(coarse)))
    expected = nn.functional.interpolate(found, size=(24, 40), mode="bilinear")[..., :22, :33]
    torch.testing.assert_close(estimator(blurry), expected)


def test_the_fusion_equals_its_formula() -> None:
    torch.manual_seed(0)
    inner = Backbone(nn.Identity(), divisor=1, licence="mine", name="same")
    network = backbones.create("guided", of=inner, width=4).network.eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    network.strength.fill_(0.25)
    blurry = torch.rand(1, 3, 8, 9)
    (restored,), aux = network(blurry)
    both = torch.cat([blurry, 0.25 * aux["map"]], dim=1)[0].flatten(1)
    down, up = (network.attention[i].weight[:, :, 0, 0] for i in (0, 2))
    scale = 1 / (1 + torch.exp(-(up @ (down @ both.mean(1)).clamp_min(0))))
    added = network.fuse.weight[:, :, 0, 0] @ (both * scale[:, None]) + network.fuse.bias[:, None]
    torch.testing.assert_close(restored[0].flatten(1), (blurry[0].flatten(1) + added).clamp(0, 1))
    torch.testing.assert_close(aux["coc"], 1.5 * REACH_PX * aux["map"].clamp_min(0))


@pytest.mark.parametrize("name", ["compact", "unet", "nafnet", "ifan"])
def test_a_frozen_network_stays_as_it_is_while_its_guide_learns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    backbone = guide(name, frozen=True)
    assert_is_backbone(backbone)
    for parameter in backbone.network.attention.parameters():
        parameter.data.abs_()  # as drawn, both hidden features may be below the ReLU
    module = DeblurringModule(backbone, objectives.create("mse"))
    assert module.auxiliary is None
    monkeypatch.setattr(module, "log", lambda *args, **kwargs: None)
    monkeypatch.setattr(module, "log_dict", lambda *args, **kwargs: None)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=1e-2)
    pair = Pair(torch.rand(2, 3, 24, 24), torch.rand(2, 3, 24, 24), ["a", "b"], {})
    for step in range(3):
        optimizer.zero_grad()
        module.training_step(pair, step)["loss"].backward()
        optimizer.step()
    changed = {key for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if not key.startswith(("network.inner.", "network.strength"))}
    assert not backbone.network.inner.network.training


def test_heads_of_the_network_see_what_it_predicts() -> None:
    torch.manual_seed(0)
    backbone = guide("compact").train()
    heads, blurry = backbone.auxiliary(), torch.rand(1, 3, 20, 24)
    assert heads is not None
    restored = backbone(blurry)
    truth = torch.rand(1, 1, 20, 24)
    found = heads(backbone, restored, Pair(blurry, blurry, ["a"], {"coc": truth}))
    expected = 0.005 * (restored.aux["inner_coc"][..., :20, :24] - truth).abs().mean()
    torch.testing.assert_close(found["coc"], expected)
    assert guide("unet").auxiliary() is None


def test_any_network_predicts_a_blur_map() -> None:
    torch.manual_seed(0)
    backbone, blurry = guide("unet").eval(), torch.rand(1, 3, 21, 33)
    found = blur_radius(backbone)(blurry)
    assert found.shape == (1, 3, 21, 33)
    assert (found >= 0).all()
    with pytest.raises(UserError, match="guided_unet predicts no blur map"):
        blur_radius(guide("unet", channels=5).eval())(blurry)


@pytest.mark.parametrize("name", ["unet", "restormer"])
def test_published_weights_are_loaded_and_a_checkpoint_has_its_own(name: str, tmp_path: Path) -> None:
    file, blurry, sizes = tmp_path / "published.pth", torch.rand(1, 3, 16, 16), BACKBONES[name]
    published = backbones.create(name, **sizes)
    torch.save({"params": published.network.state_dict()}, file)
    of = {"name": name, **sizes, "weights": str(file)}
    config = {"backbone": {"name": "guided", "of": of}, "objective": {"name": "l1"}, "seed": 0}
    module = build.module(config).eval()
    assert torch.equal(module(blurry), published.eval()(blurry).images[0])
    assert module.config["backbone"] == {"name": "guided", "of": {"name": name, **sizes}}
    torch.save({"state_dict": module.state_dict(), "jdrl_lightning": {"config": module.config}}, tmp_path / "a.ckpt")
    file.unlink()
    again = build.backbone_from_checkpoint(tmp_path / "a.ckpt")
    assert torch.equal(again(blurry).images[0], module(blurry))
    loaded = build.backbone(config["backbone"] | {"of": {**of, "weights": None}, "weights": str(tmp_path / "a.ckpt")})
    assert torch.equal(loaded.eval()(blurry).images[0], module(blurry))
    with pytest.raises(UserError, match=r"published\.pth do not exist"):
        build.backbone(config["backbone"])
    with pytest.raises(UserError, match=r"backbone\.channels=0"):
        backbones.create("guided", of=of, channels=0)


def test_a_guide_that_was_weak_when_it_was_stored_is_so_again() -> None:
    """The best checkpoint may be of an epoch of the published warm-up."""
    first, second, blurry = guide("unet").eval(), guide("unet").eval(), torch.rand(1, 3, 16, 16)
    nn.init.ones_(first.network.fuse.weight)
    first.network.strength.fill_(0.25)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(blurry).images[0], first(blurry).images[0])
    first.network.strength.fill_(1)
    assert not torch.equal(second(blurry).images[0], first(blurry).images[0])


def test_it_is_exported_with_its_guide() -> None:
    backbone, shape = drawn("guided"), Shape(1, 32, 32, any_size=True)
    content = serialized(program(backbone, shape), "onnx", backbone, shape)
    assert difference(content, "onnx", backbone, shape) < 1e-5


@pytest.mark.parametrize("stored", [(), ("coc",)])
def test_heads_get_only_the_networks_own_maps(stored: tuple[str, ...]) -> None:
    class Heads(nn.Module):
        def forward(self, backbone: nn.Module, restored: Restored, pair: Pair) -> dict[str, Tensor]:
            assert restored.aux.keys() == set(stored)
            return {"none": restored.images[0].sum()}

    class WithHeads(Backbone):
        def auxiliary(self) -> nn.Module:
            return Heads()

    class Network(nn.Module):
        def forward(self, blurry: Tensor) -> Restored:
            return Restored((blurry,), dict.fromkeys(stored, blurry))

    backbone = backbones.create("guided", of=WithHeads(Network(), divisor=1, licence="mine", name="any"), width=4)
    heads, blurry = backbone.auxiliary(), torch.rand(1, 3, 8, 8)
    assert heads is not None
    assert heads(backbone, backbone(blurry), Pair(blurry, blurry, ["a"], {})).keys() == {"none"}
