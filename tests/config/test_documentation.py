from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qalipsis.config.keys import words
from qalipsis.config.settings import Setting, every_setting
from qalipsis.config.values import DURATION, WORKERS, Form

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def written_default(value: Any, form: Form) -> str:
    if form is WORKERS:
        return "`auto`"
    if value is None or value in ((), {}):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if form is DURATION:
        return f"`{value * 1000:g}ms`" if value < 1 else f"`{value:g}s`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`"


def row(setting: Setting) -> str:
    key = setting.key
    if setting.form.is_rest:
        key += ".<target>.<setting>"
    elif setting.form.is_table:
        key += ".<name>"
    return f"| `{key}` | {written_default(setting.default, setting.form)} | {setting.meaning} |"


@pytest.mark.parametrize("setting", every_setting(), ids=lambda setting: ".".join(setting.path))
def test_every_setting_is_documented_with_its_default_and_its_meaning(setting: Setting) -> None:
    assert row(setting) in PAGE.read_text("utf-8").splitlines()


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {row(setting) for setting in every_setting()}
    documented = {line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")}
    assert documented <= known


def test_no_two_settings_can_be_spelt_the_same() -> None:
    identities = [words(setting.key) for setting in every_setting()]
    assert len(set(identities)) == len(identities)
