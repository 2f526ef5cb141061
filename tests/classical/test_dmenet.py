from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from jdrl_lightning.classical.dmenet import DMENet, defocus_loss, map_to_radius, radius_to_map
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.photographs import dead_leaves
from jdrl_lightning.types import to_float


def _small() -> DMENet:
    torch.manual_seed(0)
    return DMENet(width=4).eval()


def test_published_size() -> None:
    with torch.device("meta"):
        network = DMENet()
    assert sum(p.numel() for p in network.parameters()) == 26_943_184
    assert sum(p.numel() for p in network.auxiliary.parameters()) == 1_591_311
    assert sum(p.numel() for p in network.encoder.parameters()) == 20_024_384  # torchvision's vgg19().features


def test_the_encoder_is_torchvisions_but_for_the_border() -> None:
    from torchvision.models import vgg19

    with torch.device("meta"):
        theirs = [m for m in vgg19(weights=None).features if isinstance(m, nn.Conv2d)]
        ours = [m for m in DMENet().encoder.modules() if isinstance(m, nn.Conv2d)]
    assert [m.weight.shape for m in ours] == [m.weight.shape for m in theirs]


def test_maps_and_their_sizes() -> None:
    network, image = _small().requires_grad_(False), torch.rand(2, 3, 32, 48)
    (alone,) = network(image)
    assert alone.shape == (2, 1, 32, 48)
    trained = network.train()(image)
    assert [tuple(m.shape[-2:]) for m in trained] == [(32, 48), (2, 3), (4, 6), (8, 12), (16, 24), (32, 48)]
    assert all(0 <= float(m.min()) <= float(m.max()) <= 1 for m in trained)


def test_the_input_is_vggs() -> None:
    network, seen = _small(), []
    network.encoder[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    image = torch.zeros(1, 3, 16, 16)
    image[:, 0] = 1.0  # red
    network(image)
    torch.testing.assert_close(seen[0][0, :, 0, 0], torch.tensor([-103.939, -116.779, 255 - 123.68]))


def test_the_map_s_unit_is_the_published_deconvolutions() -> None:
    radius = torch.tensor([0.0, 1.0, 7.0, 14.0])
    estimate = radius_to_map(radius)
    torch.testing.assert_close((15 * estimate - 1) / 2, radius / 2)  # σ of the Gaussian
    torch.testing.assert_close(map_to_radius(estimate), radius, rtol=0, atol=1e-5)
    assert float(map_to_radius(torch.zeros(1))) == 0
    assert float(radius_to_map(torch.tensor(99.0))) == 1


def test_the_loss_by_hand() -> None:
    radius = torch.rand(2, 1, 8, 8) * 7
    fine, coarse = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 2, 2)
    wanted = (radius + 1) / 15
    blocks = wanted.view(2, 1, 2, 4, 2, 4).mean((3, 5))
    expected = ((fine - wanted) ** 2).mean() + ((coarse - blocks) ** 2).mean()
    torch.testing.assert_close(defocus_loss([fine, coarse], radius), expected)


def test_twenty_steps_on_rendered_pairs() -> None:
    pairs = RenderedPairs(dead_leaves("train", 0, size=160)[:4], seed=0, frame=64)
    batch = [pairs[i] for i in range(4)]
    blurry = torch.stack([to_float(pair.blurry) for pair in batch])
    radius = torch.stack([pair.extras["coc"] for pair in batch])
    torch.manual_seed(0)
    network = DMENet(width=8).train()
    before = {name: p.clone() for name, p in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(20):
        loss = defocus_loss(network(blurry), radius)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(not torch.equal(before[name], p) for name, p in network.named_parameters())
    assert losses[-1] < 0.6 * losses[0]
    wanted = radius_to_map(radius)
    assert F.mse_loss(network(blurry)[0], wanted) < 0.9 * wanted.var()  # better than any constant
