"""A U-Net around any convolutional encoder of timm."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.errors import UserError, first_line
from jdrl_lightning.io.weights import fill, read_weights, unwrap

__all__ = ["TimmUNet", "load_encoder", "timm_unet"]

log = logging.getLogger(__name__)

LARGEST_FACTOR = 8  # the decoder is never wider than this many times its last level


class TimmUNet(nn.Module):
    """A feature pyramid; the decoder upsamples bilinearly, concatenates the skip, and applies two 3×3 convolutions.

    The image itself is the skip at full resolution. The last convolution starts at 0 and its output is added to the
    image, so that the network starts as the identity. Inputs are normalised with the encoder's ``mean`` and ``std``
    from timm. Batch normalisation in the encoder is trained.

    Args:
        encoder: name in timm, built with ``features_only=True`` and random weights; nothing is downloaded.
        width: channels of the decoder's last level, doubled at each lower level, up to eight times.

    Raises:
        UserError: the encoder is unknown, or has no feature pyramid for images of any size.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: str = "resnet18", width: int = 32) -> None:
        super().__init__()
        self.encoder, config = _encoder(encoder)
        skips = {1: 3} | dict(zip(_reductions(self.encoder), self.encoder.feature_info.channels(), strict=True))
        self.reduction = max(skips)
        before, self.decoder = skips[self.reduction], nn.ModuleList()
        for reduction in self._halvings():
            after = width * min(reduction, LARGEST_FACTOR)
            self.decoder.append(_two_convolutions(before + skips.get(reduction, 0), after))
            before = after
        self.out = nn.Conv2d(before, 3, 3, padding=1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)
        for name, default in (("mean", 0.0), ("std", 1.0)):
            value = torch.tensor(config.get(name) or (default,) * 3).view(1, 3, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def _halvings(self) -> list[int]:
        return [2**level for level in reversed(range(self.reduction.bit_length() - 1))]

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, 3, H, W)``, height and width multiples of the encoder's reduction, to the same shape."""
        features = self.encoder((blurry - self.mean) / self.std)
        skips = {1: blurry} | dict(zip(_reductions(self.encoder), features, strict=True))
        deep = skips[self.reduction]
        for reduction, block in zip(self._halvings(), self.decoder, strict=True):
            deep = F.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=False)
            deep = block(torch.cat([deep, skips[reduction]], dim=1) if reduction in skips else deep)
        return blurry + self.out(deep)


def _encoder(name: str) -> tuple[Any, Mapping[str, Any]]:
    """The encoder and its timm config, tried on one small image: transformers of fixed size fail here."""
    import timm

    if ":" in name or not timm.is_model(name):  # with a colon timm would read a folder or contact a server
        raise UserError(
            f"backbone.encoder={name!r} is not a timm model: python -c 'import timm; print(timm.list_models())'"
        )
    try:
        encoder: Any = timm.create_model(name, pretrained=False, features_only=True)
        reductions, channels = _reductions(encoder), encoder.feature_info.channels()
        side = 2 * max(reductions)
        with torch.no_grad():
            features = encoder.eval()(torch.zeros(1, 3, side, 2 * side))
    except Exception as error:
        reason = first_line(error)
        raise UserError(f"backbone.encoder={name!r} has no features for images of any size: {reason}") from error
    found = [tuple(feature.shape) for feature in features]
    wanted = [(1, c, side // r, 2 * side // r) for c, r in zip(channels, reductions, strict=True)]
    halving = all(r & (r - 1) == 0 for r in reductions) and sorted(set(reductions)) == reductions
    if found != wanted or not halving:
        raise UserError(f"backbone.encoder={name!r} has no feature pyramid (reductions {reductions}, shapes {found})")
    config = timm.get_pretrained_cfg(name)
    return encoder.train(), {} if config is None else config.to_dict()


def _reductions(encoder: Any) -> list[int]:
    return [int(reduction) for reduction in encoder.feature_info.reduction()]


def _two_convolutions(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for given in (before, after):
        convolution = nn.Conv2d(given, after, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        layers += [convolution, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def load_encoder(encoder: nn.Module, path: str | Path) -> None:
    """Load an encoder from the weights of timm's whole network, ignoring the classifier.

    ``features_only`` joins the names of nested blocks with ``_`` (``stages_0.…`` for ``stages.0.…``); both match.

    Raises:
        UserError: the file cannot be read, or a tensor is missing or of another shape; then nothing is changed.
    """
    file = Path(path)
    given = {key.replace("_", "."): value for key, value in unwrap(read_weights(file), file)[1].items()}
    state = {}
    for key, value in encoder.state_dict().items():
        if key.replace("_", ".") in given:
            state[key] = given[key.replace("_", ".")]
        elif key.endswith("num_batches_tracked"):  # missing in older files, and unused
            state[key] = value
    fill(encoder, state, f"encoder weights {file} do not fit this encoder")
    log.info("encoder weights %s: %d tensors loaded, %d of the file ignored", file, len(state), len(given) - len(state))


def timm_unet(encoder: str = "resnet18", width: int = 32, encoder_weights: str | None = None) -> Backbone:
    """A U-Net around an encoder of timm as a backbone; 15,704,771 parameters by default.

    Args:
        encoder: see :class:`TimmUNet`.
        width: see :class:`TimmUNet`.
        encoder_weights: local file with timm's (ImageNet) weights to initialise the encoder.
    """
    network = TimmUNet(encoder, width)
    if encoder_weights:
        load_encoder(network.encoder, encoder_weights)
    licence = "ours, Apache-2.0; ImageNet weights of the encoder come with their own terms, see timm's model card"
    return Backbone(network, divisor=network.reduction, licence=licence, name="timm_unet")
