"""What a fused picture must be whatever the scene."""

from __future__ import annotations

import torch

from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.preparation.stack_fusion import fuse

ALL = torch.ones(1, 1, 96, 128)


def test_equal_frames_give_themselves(photo: torch.Tensor) -> None:
    for height, width in ((96, 128), (77, 101), (17, 40)):
        image = photo[None, :, 50 : 50 + height, 50 : 50 + width].float() / 255
        whole = torch.ones(1, 1, height, width)
        fused = fuse(lambda number, i=image, w=whole: (i, w), 3)
        torch.testing.assert_close(fused.image, image, atol=1e-5, rtol=0)
        assert fused.focus.shape == (1, 1, -(-height // 2), -(-width // 2))


def test_a_sharp_frame_is_taken_and_noise_is_averaged(photo: torch.Tensor) -> None:
    image = photo[None, :, 50:146, 50:178].float() / 255
    fused = fuse(lambda number: (image if number == 1 else smooth(image, 3.0), ALL), 3).image
    assert (fused - image).abs().mean() < 0.15 * (smooth(image, 3.0) - image).abs().mean()
    generator = torch.Generator().manual_seed(0)
    noisy = [0.5 + 0.01 * torch.randn(1, 3, 96, 128, generator=generator) for _ in range(4)]
    assert fuse(lambda number: (noisy[number], ALL), 4).image.std() < 0.75 * noisy[0].std()


def test_what_a_frame_does_not_cover_leaves_no_trace(photo: torch.Tensor) -> None:
    image = photo[None, :, 50:146, 50:178].float() / 255
    content = ALL.clone()
    content[..., 90:] = 0
    streaks = image.clone()
    streaks[..., 90:] = torch.rand(1, 3, 96, 38)
    fused = fuse(lambda number: (streaks, content) if number else (smooth(image, 1.0), ALL), 2).image
    assert (fused - smooth(image, 1.0))[..., 96:].abs().max() < 0.02
    assert (fused - image)[..., :84].abs().mean() < 0.01


def test_each_frame_is_asked_for_once(photo: torch.Tensor) -> None:
    asked = []

    def frame(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(number)
        return torch.rand(1, 3, 96, 128), ALL

    fuse(frame, 3)
    assert asked == [0, 1, 2]
