"""Contract checks for your own components: a backbone, a flow estimator, an objective.

    from jdrl_lightning.testing import assert_is_backbone
    assert_is_backbone(my_backbone)

A violation raises ``AssertionError``. The checks work on copies and leave torch's random state unchanged. All
components of the package pass them.
"""

from jdrl_lightning.testing.backbone import assert_is_backbone
from jdrl_lightning.testing.flow import assert_is_flow
from jdrl_lightning.testing.objective import assert_is_objective

__all__ = ["assert_is_backbone", "assert_is_flow", "assert_is_objective"]
