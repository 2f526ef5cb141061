"""Compiled functions: the same values, and one line if compilation fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning import UserError
from jdrl_lightning.runtime.compile import compiled


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """``backend(name)``: compile with another backend than inductor, which needs a C++ compiler."""
    original = torch.compile

    def choose(name: Any) -> None:
        torch._dynamo.reset()
        monkeypatch.setattr(torch, "compile", lambda run: original(run, backend=name))

    return choose


def test_values_and_arguments_pass_through(backend: Callable[[Any], None]) -> None:
    backend("eager")
    run = compiled(lambda image, scale=1.0, *, shift: image * scale + shift)
    given = torch.arange(6.0).view(2, 3)
    for image in (given, given[:1]):  # another size is compiled again
        assert torch.equal(run(image, 2.0, shift=image), image * 3)


def test_a_module_is_not_registered_twice(backend: Callable[[Any], None]) -> None:
    backend("eager")
    outer, inner = nn.Module(), nn.Linear(2, 2)
    outer.inner, outer.fast = inner, compiled(inner)
    assert list(outer.state_dict()) == ["inner.weight", "inner.bias"]
    assert torch.equal(outer.fast(torch.ones(1, 2)), inner(torch.ones(1, 2)))


def test_a_failing_compiler_is_one_line(backend: Callable[[Any], None]) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no C++ compiler\nmore lines")

    backend(broken)
    message = r"^compile=true: torch\.compile failed \(no C\+\+ compiler\); set compile=false$"
    with pytest.raises(UserError, match=message):
        compiled(lambda image: image + 1)(torch.ones(2))


def test_errors_of_the_function_itself_stay_theirs(backend: Callable[[Any], None]) -> None:
    def run(image: Tensor) -> Tensor:
        raise UserError("image: too small; use a larger one")

    backend("eager")
    with pytest.raises(UserError, match=r"^image: too small"):
        compiled(run)(torch.ones(2))
