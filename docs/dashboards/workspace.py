"""Create a W&B workspace with the panels of docs/dashboards.md.

pip install 'jdrl_lightning[workspaces]'
python docs/dashboards/workspace.py <entity> jdrl_lightning          # needs a key: wandb login
python docs/dashboards/workspace.py <entity> jdrl_lightning --print  # what would be sent, without a network
"""

from __future__ import annotations

import argparse
import json

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from panels import SECTIONS, STEP


def workspace(entity: str, project: str) -> ws.Workspace:
    """The line plots and the table of the worst images; W&B adds panels for images and the histogram by itself."""
    sections = [
        ws.Section(
            name=name,
            is_open=True,
            panels=[wr.LinePlot(title=title, x=STEP, y=list(lines)) for title, lines in panels.items()],
        )
        for name, panels in SECTIONS.items()
    ]
    worst = ws.Section(name="Worst images", is_open=True, panels=[wr.WeavePanelSummaryTable(table_name="worst")])
    return ws.Workspace(
        entity=entity,
        project=project,
        name="JDRL",
        sections=[*sections, worst],
        settings=ws.WorkspaceSettings(x_axis=STEP),
        runset_settings=ws.RunsetSettings(pinned_columns=["summary:val/deformed_gt/psnr", "summary:val/placement/rms"]),
        auto_generate_panels=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entity", help="user or team")
    parser.add_argument("project")
    parser.add_argument("--print", action="store_true", help="print the workspace instead of sending it")
    arguments = parser.parse_args()
    made = workspace(arguments.entity, arguments.project)
    if arguments.print:
        print(json.dumps(made._spec, indent=2))
    else:
        made.save()


if __name__ == "__main__":
    main()
