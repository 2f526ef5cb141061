from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning import backbones
from jdrl_lightning.backbones import Backbone, load_weights
from jdrl_lightning.backbones.dmphn import DMPHN
from jdrl_lightning.errors import UserError
from network_checks import assert_exports_for_any_size, train


def _tiny(seed: int, levels: int) -> Backbone:
    torch.manual_seed(seed)
    return backbones.create("dmphn", levels=levels, width=4).eval()


@pytest.mark.parametrize(("levels", "parameters"), [(3, 5_424_393), (4, 7_232_524)])
def test_published_size(levels: int, parameters: int) -> None:
    with torch.device("meta"):
        network = backbones.create("dmphn", levels=levels).network
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    state = network.state_dict()
    assert len(state) == 60 * levels
    encoder = [value for key, value in state.items() if key.startswith("encoder_lv1.")]
    assert len(encoder) == 30
    assert sum(value.numel() for value in encoder) == 868_288
    assert sum(value.numel() for key, value in state.items() if key.startswith("decoder_lv2.")) == 939_843
    layers = {int(key.split(".")[1].removeprefix("layer")) for key in state}
    assert layers == {1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 16, 17, 18, 20, 21, 22, 24}


def _patch_by_patch(network: DMPHN, image: Tensor) -> Tensor:
    """The paper's figure, one patch at a time."""
    part = network.get_submodule
    height, width = image.shape[-2] // 2, image.shape[-1] // 2
    halves = [image[..., :height, :], image[..., height:, :]]
    quarters = [[half[..., :width], half[..., width:]] for half in halves]
    if network.levels == 4:
        features = [[], []]
        for row in range(2):
            for quarter in quarters[row]:
                upper, lower = quarter[..., : height // 2, :], quarter[..., height // 2 :, :]
                below = torch.cat([part("encoder_lv4")(upper), part("encoder_lv4")(lower)], dim=2)
                features[row].append(part("encoder_lv3")(quarter + part("decoder_lv4")(below)) + below)
    else:
        features = [[part("encoder_lv3")(quarter) for quarter in row] for row in quarters]
    rows = []
    for half, (left, right) in zip(halves, features, strict=True):
        below = torch.cat([left, right], dim=3)
        rows.append(part("encoder_lv2")(half + part("decoder_lv3")(below)) + below)
    below = torch.cat(rows, dim=2)
    return part("decoder_lv1")(part("encoder_lv1")(image + part("decoder_lv2")(below)) + below)


@pytest.mark.parametrize("levels", [3, 4])
def test_batched_patches_equal_patch_by_patch(levels: int) -> None:
    network = _tiny(0, levels).network.double()
    images = torch.rand(3, 3, 32, 24, dtype=torch.float64) - 0.5
    expected = torch.cat([_patch_by_patch(network, image[None]) for image in images])
    assert expected.std() > 1e-3
    torch.testing.assert_close(network(images), expected, rtol=0, atol=1e-13)


def test_only_residual_blocks_are_nonlinear() -> None:
    """No activation on strided and transposed convolutions: without the blocks' branches, the network is linear."""
    network = _tiny(0, 3).network
    for layer in network.modules():
        if isinstance(layer, nn.Sequential):
            nn.init.zeros_(layer[2].weight)
    first, second = torch.rand(2, 1, 3, 16, 16) - 0.5
    torch.testing.assert_close(network(first - second), network(first) - network(second), rtol=0, atol=1e-6)


@pytest.mark.parametrize("levels", [3, 4])
@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
def test_odd_sizes(levels: int, size: tuple[int, int]) -> None:
    backbone = _tiny(0, levels)
    assert backbone.divisor == {3: 8, 4: 16}[levels]
    (restored,) = backbone(torch.rand(2, 3, *size)).images
    assert restored.shape == (2, 3, *size)


def test_value_range() -> None:
    backbone = _tiny(0, 3).train()
    blurry = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(backbone(blurry).images[0], backbone.network(blurry - 0.5) + 0.5)


def test_published_initialisation() -> None:
    torch.manual_seed(0)
    network = DMPHN(width=32)
    for layer in (network.encoder_lv1.layer9, network.decoder_lv3.layer16, network.decoder_lv1.layer13[0]):
        n = layer.weight[0, 0].numel() * layer.out_channels
        assert layer.weight.std().item() == pytest.approx(0.5 * (2 / n) ** 0.5, rel=0.02)
        assert (layer.bias == 0).all()


def test_learns() -> None:
    torch.manual_seed(0)
    backbone = backbones.create("dmphn", width=8)
    blurry = torch.rand(1, 3, 16, 16)
    losses = train(backbone, blurry, blurry, steps=15)
    assert losses[-1] < 0.8 * losses[0]
    assert all(parameter.grad.abs().max() > 0 for parameter in backbone.parameters())


def _publish(backbone: Backbone, folder: Path, prefix: str = "") -> None:
    """One file per submodule, keys without its name."""
    for name, part in backbone.network.named_children():
        torch.save({prefix + key: value for key, value in part.state_dict().items()}, folder / f"{name}.pkl")


@pytest.mark.parametrize("levels", [3, 4])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_published_folder(levels: int, prefix: str, tmp_path: Path) -> None:
    source, target = _tiny(1, levels), _tiny(2, levels)
    _publish(source, tmp_path, prefix)
    assert (tmp_path / f"decoder_lv{levels}.pkl").is_file()
    assert "layer1.weight" in torch.load(tmp_path / "encoder_lv1.pkl") or prefix
    blurry = torch.rand(1, 3, 21, 34)
    assert not torch.equal(source(blurry).images[0], target(blurry).images[0])
    loaded = load_weights(target, tmp_path)
    assert torch.equal(source(blurry).images[0], target(blurry).images[0])
    assert (loaded.layout, loaded.n_tensors) == ("foreign", 60 * levels)
    assert loaded.licence is not None
    assert "without a licence" in loaded.licence


def test_one_file_with_our_names(tmp_path: Path) -> None:
    source, target = _tiny(1, 3), _tiny(2, 3)
    torch.save(source.network.state_dict(), tmp_path / "all.pth")
    assert load_weights(target, tmp_path / "all.pth").layout == "bare"
    assert torch.equal(source.network.encoder_lv1.layer1.weight, target.network.encoder_lv1.layer1.weight)


def test_folders_that_do_not_fit(tmp_path: Path) -> None:
    target = _tiny(2, 3)
    before = target.network.encoder_lv1.layer1.weight.clone()
    _publish(_tiny(1, 4), tmp_path)
    with pytest.raises(UserError, match=r"encoder_lv4\.pkl .* set backbone\.levels"):
        load_weights(target, tmp_path)
    (tmp_path / "encoder_lv4.pkl").unlink()
    (tmp_path / "decoder_lv2.pkl").unlink()
    with pytest.raises(UserError, match=r"decoder_lv2\.pkl do not exist"):
        load_weights(target, tmp_path)
    torch.save(_tiny(1, 3).network.decoder_lv2, tmp_path / "decoder_lv2.pkl")  # a module, not its state dict
    with pytest.raises(UserError, match=r"decoder_lv2\.pkl hold pickled code"):
        load_weights(target, tmp_path)
    torch.save([1, 2], tmp_path / "decoder_lv2.pkl")
    with pytest.raises(UserError, match=r"decoder_lv2\.pkl hold no state dict"):
        load_weights(target, tmp_path)
    torch.save({"layer13.0.weight": torch.rand(2)}, tmp_path / "decoder_lv2.pkl")
    with pytest.raises(UserError, match=r"29 missing: decoder_lv2\.layer13\.0\.bias"):
        load_weights(target, tmp_path)
    assert torch.equal(target.network.encoder_lv1.layer1.weight, before)


def test_unknown_levels() -> None:
    for levels in (2, 5, "1-2-4"):
        with pytest.raises(UserError, match="levels="):
            backbones.create("dmphn", levels=levels)


def test_exports_for_any_size() -> None:
    assert_exports_for_any_size(_tiny(0, 3).network, 8)
