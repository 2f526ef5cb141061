"""PWC-Net against an independent implementation's numbers, brute force, and both published layouts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.flow.affine import affine_field
from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.flow.pwcnet import PWCNet, PWCNetFlow, cost_volume, warp_features
from jdrl_lightning.flow.pwcnet_keys import NVLABS, SNIKLAUS
from jdrl_lightning.flow.warp import in_frame, warp

KINDS = ("weight", "bias")
SMALL = ((4, 4, 6, 6, 8, 8), (6, 6, 4, 4, 4))
# ptlflow 0.4.2's pwcnet, run on the weights and images of `published`: (row, column) -> flow at a quarter, unit 20 px.
REFERENCE = {
    (0, 0): (0.043204, 0.030095),
    (0, 47): (-0.036995, 0.305375),
    (31, 0): (-0.082905, -0.037826),
    (31, 47): (0.078463, 0.007707),
    (16, 24): (0.259343, 0.208570),
    (7, 33): (0.067626, 0.218674),
}
REFERENCE_MEAN, REFERENCE_SQUARE = 0.262698, 0.170193


@pytest.fixture(scope="module")
def published() -> tuple[dict[str, Tensor], Tensor]:
    """Weights in the NVlabs layout and a pair of images, the same on every machine."""
    with torch.device("meta"):
        ours = PWCNet().state_dict()
    shapes = {f"{theirs}.{kind}": ours[f"{name}.{kind}"].shape for theirs, name in NVLABS.items() for kind in KINDS}
    random, state = np.random.RandomState(0), {}  # its numbers never change
    for key in sorted(shapes):
        shape = shapes[key]
        if len(shape) == 1:
            scale = 0.02
        else:
            scale = math.sqrt(2 / (4 * shape[0] if key.startswith(("deconv", "upfeat")) else math.prod(shape[1:])))
        state[key] = torch.from_numpy((scale * random.standard_normal(tuple(shape))).astype(np.float32))
    return state, torch.from_numpy(random.random_sample((2, 3, 128, 192)).astype(np.float32))


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def sniklaus(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """An NVlabs state dict under the other project's keys."""
    theirs = {ours: name for name, ours in SNIKLAUS.items()}
    parts = (key.rpartition(".") for key in state)
    keys = [f"{theirs[NVLABS[layer]]}.{kind}".replace("net", "module") for layer, _, kind in parts]
    return dict(zip(keys, state.values(), strict=True))


def test_published_size() -> None:
    with torch.device("meta"):
        network = PWCNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 9_374_274


def test_equals_an_independent_implementation(published: tuple[dict[str, Tensor], Tensor], tmp_path: Path) -> None:
    state, images = published
    state = state | {"deconv2.weight": torch.rand(2, 2, 4, 4), "deconv2.bias": torch.rand(2)}
    parallel = {f"module.{key}": value for key, value in state.items()}
    estimator = PWCNetFlow(saved({"state_dict": parallel}, tmp_path / "pwc_net.pth.tar"))
    found = estimator.network_on(images.device)(images[:1], images[1:])
    assert found.shape == (1, 2, 32, 48)
    for (row, column), expected in REFERENCE.items():
        torch.testing.assert_close(found[0, :, row, column], torch.tensor(expected), rtol=0, atol=2e-5)
    assert found.mean().item() == pytest.approx(REFERENCE_MEAN, abs=1e-5)
    assert found.square().mean().item() == pytest.approx(REFERENCE_SQUARE, abs=1e-5)


def test_both_layouts_are_the_same_network(published: tuple[dict[str, Tensor], Tensor], tmp_path: Path) -> None:
    state, _ = published
    nvlabs = PWCNetFlow(saved(state, tmp_path / "pwc_net.pth.tar")).network_on(torch.device("cpu")).state_dict()
    renamed = sniklaus(state)
    for number, layout in enumerate((renamed, {k.replace("module", "net"): v for k, v in renamed.items()})):
        found = PWCNetFlow(saved(layout, tmp_path / f"{number}.pytorch")).network_on(torch.device("cpu")).state_dict()
        assert found.keys() == nvlabs.keys()
        assert all(torch.equal(found[key], nvlabs[key]) for key in nvlabs)
    ours = PWCNetFlow(saved(nvlabs, tmp_path / "ours.pth")).network_on(torch.device("cpu")).state_dict()
    assert all(torch.equal(ours[key], nvlabs[key]) for key in nvlabs)


def test_equals_ptlflow() -> None:
    """The same comparison, live, where that package is installed."""
    ptlflow = pytest.importorskip("ptlflow")
    other = ptlflow.get_model("pwcnet").eval()
    ours = PWCNet().eval()
    state = {f"{NVLABS[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}": v for k, v in other.state_dict().items()}
    ours.load_state_dict(state)
    images = torch.rand(1, 2, 3, 128, 192, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = other({"images": images})["flows"][:, 0]
        found = 20 * ours(*images.flip(2).unbind(1))
    found = F.interpolate(found, (128, 192), mode="bilinear", align_corners=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("height", "width", "reach"), [(5, 7, 4), (3, 2, 1)])
def test_cost_volume_by_loop(height: int, width: int, reach: int) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(2, 3, height, width, generator=generator) for _ in range(2))
    volume = cost_volume(first, second, reach)
    side = 2 * reach + 1
    assert volume.shape == (2, side * side, height, width)
    expected = np.zeros(tuple(volume.shape))
    for b, dy, dx, y, x in np.ndindex(2, side, side, height, width):
        row, column = y + dy - reach, x + dx - reach
        if 0 <= row < height and 0 <= column < width:
            expected[b, dy * side + dx, y, x] = sum(
                float(first[b, c, y, x]) * float(second[b, c, row, column]) for c in range(3)
            )
    np.testing.assert_allclose(volume.numpy(), expected / 3, atol=1e-6)


def test_cost_volume_passes_gradient() -> None:
    first, second = (torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda a, b: cost_volume(a, b, 1), (first, second))


def test_features_stay_without_flow_and_vanish_outside() -> None:
    features = torch.randn(2, 3, 6, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(warp_features(features, torch.zeros(2, 2, 6, 9)), features, rtol=0, atol=1e-5)
    flow = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(2, 2, 6, 9)
    warped = warp_features(features, flow)
    torch.testing.assert_close(warped[..., 1:, :7], features[..., :5, 2:], rtol=0, atol=1e-5)
    assert (warped[..., :1, :] == 0).all()
    assert (warped[..., 7:] == 0).all()
    half = warp_features(features, torch.full((2, 2, 6, 9), 0.5))
    assert (half[..., -1, :] == 0).all()  # half of it lies outside: zero, not attenuated
    expected = F.avg_pool2d(features, 2, 1)
    torch.testing.assert_close(half[..., :-1, :-1], expected, rtol=0, atol=1e-5)


class Spy(nn.Module):
    """Gives ``answer(H/4, W/4)`` and records its input."""

    def __init__(self, answer: Tensor | None = None) -> None:
        super().__init__()
        self.answer, self.seen = answer, []

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        self.seen = [first, second]
        batch, _, height, width = first.shape
        y, x = torch.meshgrid(4 * torch.arange(height / 4) + 1.5, 4 * torch.arange(width / 4) + 1.5, indexing="ij")
        places = torch.stack([x, y]).expand(batch, -1, -1, -1) / 20
        return places if self.answer is None else self.answer.view(1, 2, 1, 1).expand_as(places)


def spied(spy: Spy) -> PWCNetFlow:
    with pytest.warns(UserWarning, match="random"):
        estimator = PWCNetFlow("random")
    estimator._network = spy
    return estimator


def test_units_are_twenty_pixels_once_and_follow_the_resize() -> None:
    estimator = spied(Spy(torch.tensor([0.1, -0.25])))
    image = torch.rand(2, 3, 128, 64)
    torch.testing.assert_close(
        estimator(image, image), torch.tensor([2.0, -5.0]).view(1, 2, 1, 1).expand(2, 2, 128, 64)
    )
    image = torch.rand(1, 3, 70, 130)
    found = estimator(image, image)
    assert estimator._network.seen[0].shape == (1, 3, 128, 192)
    expected = torch.tensor([2.0 * 130 / 192, -5.0 * 70 / 128]).view(1, 2, 1, 1)
    torch.testing.assert_close(found, expected.expand(1, 2, 70, 130))


def test_flow_lies_where_the_image_lies() -> None:
    """A network that answers with each pixel's own place: half a pixel's mistake in either resize would show."""
    image = torch.arange(100.0).expand(1, 3, 90, 100) / 100
    spy = Spy()
    found = spied(spy)(image, image)
    y, x = torch.meshgrid(torch.arange(90.0), torch.arange(100.0), indexing="ij")
    expected = torch.stack([x + 0.5 - 0.5 * 100 / 128, y + 0.5 - 0.5 * 90 / 128])[None]
    inner = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(found[inner], expected[inner], rtol=0, atol=1e-4)
    inside = spy.seen[0][0, 0, 5, 2:-2]
    torch.testing.assert_close(inside, (((torch.arange(128.0) + 0.5) * 100 / 128 - 0.5) / 100)[2:-2])


def test_the_network_sees_bgr_from_0_to_1() -> None:
    spy = Spy()
    first, second = torch.rand(2, 3, 64, 128), torch.rand(2, 3, 64, 128)
    spied(spy)(first, second)
    torch.testing.assert_close(spy.seen[0], first[:, [2, 1, 0]])
    torch.testing.assert_close(spy.seen[1], second[:, [2, 1, 0]])


@pytest.mark.parametrize("size", [(1, 1), (5, 70)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    estimator = spied(PWCNet(*SMALL).eval())
    found = estimator(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
    assert found.shape == (2, 2, *size)
    assert found.isfinite().all()


def test_gradient_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    network = PWCNet(*SMALL)
    network(torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128)).square().mean().backward()
    assert not [name for name, parameter in network.named_parameters() if not parameter.grad.abs().max() > 0]


class TwoLevels(nn.Module):
    """The smallest net of this kind: images as features, and a linear map from cost volume to flow at each level."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.ModuleList(nn.Conv2d(81, 2, 1) for _ in range(2))
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Flow at a quarter and at half resolution, in pixels of its level."""
        (one, two), (ours, theirs) = ([self._features(image, n) for image in (first, second)] for n in (4, 2))
        coarse = self.read[0]((12 * cost_volume(one, two)).softmax(1))
        flow = 2 * F.interpolate(coarse, scale_factor=2, mode="bilinear")
        volume = cost_volume(ours, warp_features(theirs, flow.detach()))
        return coarse, flow + self.read[1]((12 * volume).softmax(1))

    def _features(self, image: Tensor, factor: int) -> Tensor:
        pooled = F.avg_pool2d(image, factor)
        return pooled / pooled.square().mean(1, keepdim=True).sqrt()


def test_such_a_network_learns_to_see_motion() -> None:
    """Affine motions of up to 15 px, unseen textures: the finer level corrects what the coarser one leaves."""
    generator = torch.Generator().manual_seed(0)

    def batch(size: int) -> tuple[Tensor, Tensor, Tensor]:
        second = smooth(torch.randn(size, 16, 64, 64, generator=generator), 3.0)
        motion = affine_field(10 * torch.rand(size, 2, 3, generator=generator) - 5, second)
        return warp(second, motion), second, motion

    def error(found: Tensor, motion: Tensor) -> Tensor:
        factor = 64 // found.shape[-1]
        truth = F.avg_pool2d(motion, factor)
        kept = in_frame(truth / factor)
        return ((factor * found - truth).norm(dim=1, keepdim=True) * kept).sum() / kept.sum()

    network = TwoLevels()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.2)
    unseen = batch(16)
    errors = []
    for step in range(61):
        if step in (0, 60):
            with torch.no_grad():
                errors.append([error(found, unseen[2]).item() for found in network(*unseen[:2])])
        first, second, motion = batch(4)
        loss = sum(error(found, motion) for found in network(first, second))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    (start, _), (coarse, fine) = errors
    assert start > 4
    assert coarse < 0.3 * start
    assert fine < 0.75 * coarse
