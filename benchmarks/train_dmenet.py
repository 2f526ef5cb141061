"""Trains DMENet on rendered pairs with their defocus: ``python benchmarks/train_dmenet.py --root DIR --output FILE``

On the crops that benchmarks/learned_map.py trains on, in as many steps; that benchmark then measures the file:
``--dmenet FILE --dmenet-width 16``. The published network is four times as wide and starts from VGG19's weights.
``--root`` has ``train/``, ``val/`` and ``test/``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import lightning as L
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from jdrl_lightning import build
from jdrl_lightning.classical.dmenet import DMENet, defocus_loss, map_to_radius
from jdrl_lightning.demo.comparison import compose_training
from jdrl_lightning.types import Pair
from learned_map import EPOCHS, SETTINGS


class Training(L.LightningModule):
    """Adam with a cosine, on the loss of rendered pairs."""

    def __init__(self, width: int, lr: float) -> None:
        super().__init__()
        self.network, self.lr = DMENet(width), lr
        # Without VGG's weights its levels, which nothing normalises, would fade by 0.4 a layer.
        for layer in self.network.encoder.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        # In a thousand steps no head gets from 0.5 to where maps lie, around 0.2.
        heads = [head[2] for head in self.network.auxiliary]
        for output in (self.network.estimate[2], *heads):
            nn.init.constant_(output.bias, -1.4)
        for head in heads:
            nn.init.constant_(head.weight, 0.5)

    def on_after_batch_transfer(self, batch: Pair, dataloader_idx: int) -> Pair:
        """Integers to [0, 1]."""
        return batch.to_float()

    def training_step(self, batch: Pair, batch_idx: int) -> Tensor:
        """The loss of a batch."""
        maps, radius = self.network(batch.blurry), batch.extras["coc"]
        loss = defocus_loss(maps, radius)
        error = (map_to_radius(maps[0].detach()) - radius).square().mean().sqrt()
        self.log_dict({"loss": loss, "error, px": error}, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> dict[str, object]:
        """One cosine over all steps."""
        optimizer = torch.optim.Adam(self.parameters(), self.lr)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--width", type=int, default=16, help="channels of the first level; 64 as published")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of 82 steps with 41 photographs")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    config = compose_training(Path("unused"), [*SETTINGS, f"data.root='{given.root}'", f"seed={given.seed}"])
    L.seed_everything(given.seed, verbose=False)
    module = Training(given.width, given.lr)
    trainer = L.Trainer(
        max_epochs=given.epochs, accelerator="cpu", logger=False, enable_checkpointing=False, gradient_clip_val=1.0
    )
    trainer.fit(module, build.datamodule(config).train_dataloader())
    given.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(module.network.state_dict(), given.output)
    print(f"{given.output}: {(time.process_time() - started) / 60:.0f} min of processor time")


if __name__ == "__main__":
    main()
