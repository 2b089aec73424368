"""How many examples the property tests run: `SIPGW_HYPOTHESIS` = `default`, `ci` or `million`.

In: the environment. Out: the loaded profile, and `thorough` for the properties that carry the product's promise.
`default` and `ci` are deterministic: the same examples on every run, so that a red build stays red until it is mended.
`million` draws anew each time and is for a machine that has the night off.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

#: Profile -> (examples per property, examples per thorough property).
EXAMPLES = {"default": (100, 500), "ci": (300, 5_000), "million": (20_000, 1_000_000)}


def selected() -> str:
    """The profile's name: `SIPGW_HYPOTHESIS`, else `ci` on a build machine (`CI=true`), else `default`.

    Raises:
        ValueError: no such profile.
    """
    name = os.environ.get("SIPGW_HYPOTHESIS") or ("ci" if os.environ.get("CI") == "true" else "default")
    if name not in EXAMPLES:
        raise ValueError(f"SIPGW_HYPOTHESIS={name}: no such profile, there are {', '.join(EXAMPLES)}")
    return name


def load() -> None:
    """Registers the profiles and loads the selected one; conftest does this before any test is imported."""
    for name, (examples, _) in EXAMPLES.items():
        settings.register_profile(
            name,
            max_examples=examples,
            deadline=None,
            derandomize=name != "million",
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile(selected())


#: Decorator for a property of the heart (spec -> XML -> read back): `@thorough` above `@given(...)`.
thorough = settings(max_examples=EXAMPLES[selected()][1], deadline=None)
