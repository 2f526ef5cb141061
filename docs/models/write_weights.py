"""Make the weights that come with the package of a training's checkpoint: half precision, safetensors.

python docs/models/write_weights.py CHECKPOINT [--mean-with WEIGHTS] [--output FILE]

``--mean-with`` averages the checkpoint's weights with others of the same network, such as those that the training
started from. Prints the file's size, and by how much halving the precision changes what the network makes of a noise
picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from jdrl_lightning import build
from jdrl_lightning.backbones.checkpoints import SHIPPED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--mean-with", type=Path, metavar="WEIGHTS", help="safetensors")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    backbone = build.backbone_from_checkpoint(given.checkpoint)
    output = given.output or SHIPPED / f"{backbone.name}.safetensors"
    if given.mean_with:
        others, state = load_file(given.mean_with), backbone.network.state_dict()
        backbone.network.load_state_dict({name: (state[name] + others[name].float()) / 2 for name in state})
    picture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = backbone(picture).images[0]
        halved = {name: tensor.half().contiguous() for name, tensor in backbone.network.state_dict().items()}
        save_file(halved, output, metadata={"licence": backbone.licence})
        backbone.network.load_state_dict(halved)
        change = float((backbone(picture).images[0] - before).abs().max())
    size = output.stat().st_size / 1e6
    print(f"{output}: {size:.2f} MB; halving the precision changes at most {255 * change:.2f} of 255")


if __name__ == "__main__":
    main()
